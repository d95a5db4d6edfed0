"""S3 → silver → gold, once a day, as jobs on Databricks.

`check` says whether anything is new; if not, the rest is skipped. Each task is a step's file, run on the cluster by the
Jobs API; all of them belong to one run of the lake, named after the DAG run, so a task that is tried again goes on with
that run's lease, and every step may be repeated. A failed quality check ends the run before anything is published.

Airflow Variables: `user_id`, `notebook_root` (the folder on Databricks that holds `lakehouse`), `cluster_id`. The
connection is `databricks_default`. The parameter `full_refresh` makes silver and gold anew from S3.
"""

from datetime import timedelta

from airflow.providers.databricks.hooks.databricks import DatabricksHook
from airflow.providers.databricks.operators.databricks import DatabricksSubmitRunOperator
from airflow.sdk import Asset, CronTriggerTimetable, Param, RetryPolicy, TaskGroup, Variable, dag, task
from airflow.sdk.definitions.retry_policy import RetryDecision

USER_ID = Variable.get("user_id")
QUESTIONS = ("q1", "q2", "q3a", "q3b", "q4", "q5", "q6", "q7", "q8")


class UnlessJudged(RetryPolicy):
    """Don't try quality again once it has judged: it would judge the same. Anything else that goes wrong may pass."""

    def evaluate(self, exception, try_number, max_tries, context=None):
        """Fail on a judgement; the text is that of the step's error."""
        if "quality stopped the run" in str(exception):
            return RetryDecision.fail(reason="the quality check failed; nothing was published")
        return RetryDecision.default()


def step(name, file=None, parameters=(), **options):
    """Return the task that runs a step's file on the cluster."""
    return DatabricksSubmitRunOperator(
        task_id=name,
        json={
            # a submission whose answer got lost is not submitted twice
            "idempotency_token": "{{ ti.id }}",
            "run_name": f"{{{{ dag.dag_id }}}} {name}",
            "existing_cluster_id": "{{ var.value.cluster_id }}",
            "timeout_seconds": 3600,
            "spark_python_task": {
                "python_file": f"{{{{ var.value.notebook_root }}}}/lakehouse/jobs/{file or name}.py",
                "parameters": ["--run", "{{ run_id }}", *parameters],
            },
        },
        deferrable=True,
        polling_period_seconds=1,
        **options,
    )


@dag(
    dag_id=f"{USER_ID}_dag",
    # at the next midnight, not at once for the last one
    schedule=CronTriggerTimetable("@daily", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    default_args={
        "owner": USER_ID,
        "retries": 3,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
    },
    params={"full_refresh": Param(False, type="boolean", description="make silver and gold anew from S3")},
    doc_md=__doc__,
    tags=["pinterest"],
)
def pinterest():
    @task.short_circuit(ignore_downstream_trigger_rules=False)
    def full_refresh(params):
        return params["full_refresh"]

    @task.short_circuit
    def something_new(ti):
        """Read what `check` printed. Only its own words skip the rest; the steps do nothing twice."""
        hook = DatabricksHook()
        run = hook.get_run(ti.xcom_pull(task_ids="check", key="run_id"))
        output = hook.get_run_output(run["tasks"][0]["run_id"])
        said = output.get("logs") or ""
        print(said or "check's output is not there: going on")
        return "nothing new" not in said.splitlines()

    check = step("check", trigger_rule="none_failed")
    with TaskGroup("silver", prefix_group_id=False) as silver:
        for event in ("pin", "geo", "user"):
            step(f"silver_{event}", "silver", ["--event", event])
    quality = step("quality", retry_policy=UnlessJudged())
    publish = step("publish", outlets=[Asset(f"{USER_ID}.gold.{question}", group="gold") for question in QUESTIONS])

    full_refresh() >> step("empty") >> check >> something_new() >> silver >> step("questions") >> quality >> publish


pinterest()
