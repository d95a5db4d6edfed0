"""`pinline streams`: what Kinesis holds, the local one or AWS's (AWS_ENDPOINT_URL_KINESIS)."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.table import Table

from pinline import aws
from pinline.aws import kinesis_errors
from pinline.cli.console import out
from pinline.settings import load

app = typer.Typer(help="What Kinesis holds.", no_args_is_help=True)

_POLL_S = 0.5
"""Within a shard's five reads a second."""


@app.command("list")
def list_streams() -> None:
    """List the streams with their state, open shards and retention."""
    settings = load()
    table = Table("stream", "state", "mode", "open shards", "hours", box=None)
    with kinesis_errors(settings):
        client = aws.kinesis_client(settings)
        for page in client.get_paginator("list_streams").paginate():
            for name in page["StreamNames"]:
                summary = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
                table.add_row(
                    name,
                    summary["StreamStatus"],
                    summary["StreamModeDetails"]["StreamMode"].lower(),
                    str(summary["OpenShardCount"]),
                    str(summary["RetentionPeriodHours"]),
                )
    out.print(table)


@app.command()
def describe(name: str) -> None:
    """Show a stream and its shards, closed ones too: hash keys, parents, sequence numbers."""
    settings = load()
    with kinesis_errors(settings):
        client = aws.kinesis_client(settings)
        summary = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        shards = list(_shards(client, name))
    out.print(f"[bold]{name}[/]  {summary['StreamStatus']}  {summary['StreamARN']}")
    out.print(
        f"created {summary['StreamCreationTimestamp']:%Y-%m-%d %H:%M:%S}, {summary['RetentionPeriodHours']} hours"
    )
    table = Table("shard", "state", "parents", "share of keys", "first sequence number", "last", box=None)
    for shard in shards:
        keys, numbers = shard["HashKeyRange"], shard["SequenceNumberRange"]
        share = (int(keys["EndingHashKey"]) + 1 - int(keys["StartingHashKey"])) / 2**128
        parents = [shard[key] for key in ("ParentShardId", "AdjacentParentShardId") if key in shard]
        ending = numbers.get("EndingSequenceNumber")
        table.add_row(
            shard["ShardId"],
            "closed" if ending else "open",
            ", ".join(parents) or "-",
            f"{share:.1%}",
            numbers["StartingSequenceNumber"],
            ending or "-",
        )
    out.print(table)


@app.command()
def tail(
    name: str,
    from_start: Annotated[bool, typer.Option("--from-start", help="From the oldest record on.")] = False,
    count: Annotated[int, typer.Option("--count", "-n", min=0, help="End after so many; 0 goes on for ever.")] = 0,
) -> None:
    """Print records as they come, a JSON object a line; follows the shards from parents to children."""
    settings = load()
    with kinesis_errors(settings):
        client = aws.kinesis_client(settings)
        for number, (shard, record) in enumerate(_follow(client, name, from_start=from_start), 1):
            line = {
                "shard": shard,
                "sequence": record["SequenceNumber"],
                "arrived": record["ApproximateArrivalTimestamp"].isoformat(),
                "key": record.get("PartitionKey"),
                "data": record["Data"].decode(errors="replace"),
            }
            sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
            sys.stdout.flush()
            if number == count:
                return


@app.command()
def put(
    name: str,
    data: Annotated[str, typer.Argument(help="The record; - reads records from standard input, one a line.")],
    key: Annotated[str, typer.Option("--key", "-k", help="The partition key.")] = "pinline",
) -> None:
    """Put a record, or one for each line of standard input; prints shard and sequence number."""
    settings = load()
    with kinesis_errors(settings):
        client = aws.kinesis_client(settings)
        for text in (line.rstrip("\n") for line in sys.stdin) if data == "-" else [data]:
            answer = client.put_record(StreamName=name, Data=text.encode(), PartitionKey=key)
            print(answer["ShardId"], answer["SequenceNumber"])


def _shards(client: Any, name: str) -> Iterator[dict[str, Any]]:
    # not list_shards: its paginator repeats the stream's name beside the token, which AWS refuses
    for page in client.get_paginator("describe_stream").paginate(StreamName=name):
        yield from page["StreamDescription"]["Shards"]


def _follow(client: Any, name: str, *, from_start: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield shard id and record, a shard's parents before it, without end."""
    start, kind = ("AT_TRIM_HORIZON", "TRIM_HORIZON") if from_start else ("AT_LATEST", "LATEST")
    shards = client.list_shards(StreamName=name, ShardFilter={"Type": start})["Shards"]

    def iterator(shard: str, kind: str) -> str:
        answer = client.get_shard_iterator(StreamName=name, ShardId=shard, ShardIteratorType=kind)
        return str(answer["ShardIterator"])

    iterators = {shard["ShardId"]: iterator(shard["ShardId"], kind) for shard in shards}
    waiting: dict[str, set[str]] = {}
    while True:
        begun = time.monotonic()
        for shard in list(iterators):
            answer = client.get_records(ShardIterator=iterators[shard])
            for record in answer["Records"]:
                yield shard, record
            if following := answer.get("NextShardIterator"):
                iterators[shard] = following
                continue
            del iterators[shard]
            for child in answer.get("ChildShards", []):
                parents = waiting.setdefault(child["ShardId"], set(child["ParentShards"]))
                parents.discard(shard)
                if not parents & iterators.keys():
                    iterators[child["ShardId"]] = iterator(child["ShardId"], "TRIM_HORIZON")
        time.sleep(max(0.0, _POLL_S - (time.monotonic() - begun)))
