"""`pinline topics`: what Kafka holds, as from the pipeline's client machine."""

import json
from typing import Annotated, Any

import typer
from kafka.admin import ConfigResource, ConfigResourceType
from rich.table import Table

from pinline import kafka_log
from pinline.cli.console import out
from pinline.settings import load

app = typer.Typer(help="What Kafka holds.", no_args_is_help=True)


@app.command("list")
def list_topics() -> None:
    """List the topics with their partitions and number of offsets."""
    settings = load()
    with kafka_log.connect(settings) as consumer:
        table = Table("topic", "partitions", "offsets", box=None)
        for topic in sorted(consumer.topics()):
            spans = kafka_log.ranges(consumer, topic)
            table.add_row(topic, str(len(spans)), f"{sum(map(len, spans.values())):,}")
    out.print(table)


@app.command()
def describe(name: str) -> None:
    """Show a topic's id, partitions, offsets and configuration."""
    settings = load()
    with kafka_log.connect(settings) as consumer, kafka_log.connect_admin(settings) as admin:
        spans = kafka_log.ranges(consumer, name)
        topic = admin.describe_topics([name])[0]
        configs = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    out.print(f"[bold]{name}[/]  id {topic.get('topic_id', 'not told by this broker')}")
    table = Table("partition", "leader", "replicas", "in sync", "first offset", "end offset", box=None)
    for partition in sorted(topic["partitions"], key=lambda p: int(p["partition_index"])):
        span = spans[partition["partition_index"]]
        table.add_row(
            str(partition["partition_index"]),
            str(partition["leader_id"]),
            _joined(partition["replica_nodes"]),
            _joined(partition["isr_nodes"]),
            str(span.start),
            str(span.stop),
        )
    out.print(table)
    for key, config in sorted(configs["topic"][name].items()):
        out.print(f"{key} = {config['value']}")


@app.command()
def tail(
    name: str,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Records from the end of each partition.")] = 10,
) -> None:
    """Print the last records of a topic, a JSON object a line."""
    settings = load()
    with kafka_log.connect(settings) as consumer:
        for partition, span in kafka_log.ranges(consumer, name).items():
            for record in kafka_log.scan(consumer, name, partition, span[-count:]):
                print(json.dumps(_shown(record), ensure_ascii=False))


def _shown(record: Any) -> dict[str, Any]:
    shown = {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": _text(record.key),
        "value": _json(record.value),
    }
    if record.headers:
        shown["headers"] = {key: _text(value) for key, value in record.headers}
    return shown


def _json(value: bytes | None) -> Any:
    try:
        return value and json.loads(value)
    except ValueError:
        return _text(value)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def _joined(nodes: list[int]) -> str:
    return ", ".join(map(str, nodes))
