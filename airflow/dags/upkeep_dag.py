"""Upkeep of silver and gold, once a week: small files are joined, files that no version needs are deleted.

Airflow Variables and connection as for the batch. It waits for a batch that is at work, and a batch for it.
"""

from datetime import timedelta

from airflow.providers.databricks.operators.databricks import DatabricksSubmitRunOperator
from airflow.sdk import CronTriggerTimetable, Variable, dag

USER_ID = Variable.get("user_id")


@dag(
    dag_id=f"{USER_ID}_upkeep_dag",
    schedule=CronTriggerTimetable("@weekly", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": USER_ID, "retries": 3, "retry_delay": timedelta(minutes=1)},
    doc_md=__doc__,
    tags=["pinterest"],
)
def upkeep():
    DatabricksSubmitRunOperator(
        task_id="upkeep",
        json={
            "idempotency_token": "{{ ti.id }}",
            "run_name": "{{ dag.dag_id }}",
            "existing_cluster_id": "{{ var.value.cluster_id }}",
            "timeout_seconds": 3600,
            "spark_python_task": {
                "python_file": "{{ var.value.notebook_root }}/lakehouse/jobs/upkeep.py",
                "parameters": ["--run", "{{ dag.dag_id }} {{ run_id }}"],
            },
        },
        deferrable=True,
        polling_period_seconds=5,
    )


upkeep()
