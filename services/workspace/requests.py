"""What requests may hold. A field that isn't here is refused by its name; what is here is done, or changes nothing.

Accepted without effect, since every cluster means the one Spark server and nobody is notified: clusters, tags,
notification lists, queue, access lists.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from workspace.errors import ApiError, invalid

MAX_TASKS = 100
Seconds = Annotated[int, Field(ge=0)]
Token = Annotated[str, Field(max_length=64)]
Key = Annotated[str, Field(pattern=r"^[\w-]{1,100}$")]
Strings = dict[str, str]
Anything = dict[str, Any]


class Strict(BaseModel):
    """A part of a request: no unknown fields; numbers may stand for texts, as clients send them."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


class NotebookTask(Strict):
    """A notebook, with the values of its widgets."""

    notebook_path: Annotated[str, Field(min_length=1)]
    base_parameters: Strings = Field(default_factory=dict)
    source: Literal["WORKSPACE"] | None = None


class SparkPythonTask(Strict):
    """A Python file, with its command line."""

    python_file: Annotated[str, Field(min_length=1)]
    parameters: list[str] = Field(default_factory=list)
    source: Literal["WORKSPACE"] | None = None


class Dependency(Strict):
    """A task that has to succeed before."""

    task_key: Key


class Cluster(Strict):
    """What says where a task runs; shown, and always the one Spark server."""

    existing_cluster_id: str | None = None
    new_cluster: Anything | None = None
    job_cluster_key: str | None = None
    environment_key: str | None = None


class Work(Cluster):
    """What a task does: exactly one of the kinds."""

    notebook_task: NotebookTask | None = None
    spark_python_task: SparkPythonTask | None = None
    timeout_seconds: Seconds = 0
    libraries: Annotated[list[Anything], Field(max_length=0)] = Field(default_factory=list)
    email_notifications: Anything | None = None
    webhook_notifications: Anything | None = None
    notification_settings: Anything | None = None

    @property
    def kinds(self) -> list[str]:
        """The kinds of task that are given."""
        return [name for name in ("notebook_task", "spark_python_task") if getattr(self, name) is not None]


class Task(Work):
    """One of several tasks."""

    task_key: Key
    description: str | None = None
    depends_on: list[Dependency] = Field(default_factory=list)
    run_if: Literal["ALL_SUCCESS"] = "ALL_SUCCESS"
    max_retries: Literal[0] = 0

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if len(self.kinds) != 1:
            raise ValueError(f"task {self.task_key!r} needs one of notebook_task, spark_python_task")
        return self


class Submit(Work):
    """`runs/submit`: tasks, or one task in the old flat form."""

    run_name: str = "Untitled"
    tasks: Annotated[list[Task], Field(max_length=MAX_TASKS)] = Field(default_factory=list)
    idempotency_token: Token | None = None
    access_control_list: list[Anything] | None = None
    queue: Anything | None = None

    @model_validator(mode="after")
    def _as_tasks(self) -> Self:
        if self.kinds and self.tasks:
            raise ValueError(f"give tasks, or {self.kinds[0]}: not both")
        if self.kinds:
            fields = set(Work.model_fields) - {"timeout_seconds"}
            # Databricks names the one task after the run; Airflow's notebook operator finds it by that
            key = re.sub(r"[^\w-]", "_", self.run_name)[:100] or "Untitled"
            self.tasks = [Task(task_key=key, **self.model_dump(include=fields, exclude_unset=True))]
        _check_order(self.tasks)
        return self


class Parameter(Strict):
    """A parameter of a job."""

    name: str
    default: str


class Job(Strict):
    """`jobs/create`."""

    name: str = "Untitled"
    description: str | None = None
    tasks: Annotated[list[Task], Field(max_length=MAX_TASKS)]
    parameters: list[Parameter] = Field(default_factory=list)
    timeout_seconds: Seconds = 0
    max_concurrent_runs: Annotated[int, Field(ge=1, le=1000)] = 1
    format: Literal["MULTI_TASK"] = "MULTI_TASK"
    tags: Strings | None = None
    job_clusters: list[Anything] | None = None
    email_notifications: Anything | None = None
    webhook_notifications: Anything | None = None
    notification_settings: Anything | None = None
    access_control_list: list[Anything] | None = None
    queue: Anything | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.tasks)
        return self


class RunNow(Strict):
    """`jobs/run-now`."""

    job_id: int
    idempotency_token: Token | None = None
    notebook_params: Strings = Field(default_factory=dict)
    python_params: list[str] | None = None
    job_parameters: Strings = Field(default_factory=dict)
    queue: Anything | None = None


class OneRun(Strict):
    """`runs/get`, `runs/get-output`, `runs/cancel`."""

    run_id: int
    include_history: bool = False
    include_resolved_values: bool = False
    page_token: str | None = None


class OneJob(Strict):
    """`jobs/get`, `jobs/delete`."""

    job_id: int
    page_token: str | None = None


class Listing(Strict):
    """`jobs/list`, `runs/list`: a page of at most `limit`."""

    limit: Annotated[int, Field(ge=0, le=100)] = 20
    offset: Annotated[int, Field(ge=0)] = 0
    page_token: str | None = None
    expand_tasks: bool = False


class JobListing(Listing):
    """`jobs/list`."""

    name: str | None = None
    include_user_names: bool = False  # there are no users; Airflow's hook always says that it wants none


class RunListing(Listing):
    """`runs/list`."""

    job_id: int | None = None
    active_only: bool = False
    completed_only: bool = False
    run_type: Literal["JOB_RUN", "SUBMIT_RUN"] | None = None
    start_time_from: int | None = None
    start_time_to: int | None = None


Kind = TypeVar("Kind", bound=BaseModel)


def parse(kind: type[Kind], values: Mapping[str, object]) -> Kind:
    """Return a request's content. Raises ApiError that names every wrong field."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise _refusal(error) from None


def _refusal(error: ValidationError) -> ApiError:
    unknown, wrong = [], []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            unknown.append(where)
        else:
            wrong.append(f"{where}: {problem['msg']}".removeprefix(": ").replace("Value error, ", ""))
    lines = wrong
    if unknown:
        lines = [f"this workspace does not support {', '.join(unknown)}: leave it out", *wrong]
    return invalid("; ".join(lines))


def _check_order(tasks: list[Task]) -> None:
    """Task keys are unique, and dependencies lead to an end."""
    if not tasks:
        raise ValueError("there is no task: give tasks, notebook_task or spark_python_task")
    needs = {task.task_key: {need.task_key for need in task.depends_on} for task in tasks}
    if len(needs) < len(tasks):
        raise ValueError("two tasks have the same task_key")
    for key, wanted in needs.items():
        if unknown := wanted - needs.keys():
            raise ValueError(f"task {key!r} depends on {sorted(unknown)}, which are no tasks of this run")
    left = dict(needs)
    while left:
        free = [key for key, wanted in left.items() if not wanted & left.keys()]
        if not free:
            raise ValueError(f"the tasks {sorted(left)} depend on each other in a circle")
        for key in free:
            del left[key]
