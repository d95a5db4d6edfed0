"""What the workspace counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """The workspace's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.runs = Counter("workspace_runs", "Runs that ended, by result.", ["result"], registry=self.registry)
        self.tasks = Gauge("workspace_tasks_at_work", "Tasks whose process works.", registry=self.registry)
        self.requests = Counter(
            "workspace_requests",
            "Answers of the API, by route and status.",
            ["route", "status"],
            registry=self.registry,
        )
