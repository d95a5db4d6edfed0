"""The routes of the Kafka REST proxy, version 2: produce (json, binary) and metadata.

Differences from Confluent's, on purpose: a topic that isn't there answers 404 at once (there: 60 s, then 200 with an
error a record); malformed JSON gets the error object (there: plain text); consumers and schema formats aren't here.
"""

import re
from collections import Counter
from typing import Any

from confluent_kafka.admin import PartitionMetadata  # type: ignore[attr-defined]  # its stubs hide it
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway import openapi
from gateway.cluster import Cluster
from gateway.intake import Intake
from gateway.metrics import Metrics
from gateway.protocol import (
    ProxyError,
    answer,
    http_error,
    negotiate,
    record_format,
    unknown_topic_partition,
)
from gateway.records import Record, parse
from gateway.writer import Outcome, Writer, failed

_TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_PARTITION = re.compile(r"-?[0-9]{1,10}")


def create_router(writer: Writer, cluster: Cluster, intake: Intake, metrics: Metrics) -> APIRouter:
    """Return the proxy's routes, to be included under a stage or at the root."""
    router = APIRouter(redirect_slashes=False)

    async def produce(request: Request, topic: str, partition: int | None = None) -> Response:
        chosen = record_format(request.headers.get("content-type"))
        media_type = negotiate(request.headers.get("accept"))
        async with intake.body(request) as body:
            records = parse(body, chosen, partition)
            _check_name(topic)
            outcomes = await _write(writer, cluster, topic, records, partition)
        for result, count in Counter(outcome.error_code or "ok" for outcome in outcomes).items():
            metrics.records.labels(topic, result).inc(count)
        offsets = [
            {"partition": partition, "offset": offset, "error_code": code, "error": error}
            for partition, offset, code, error in outcomes
        ]
        content = {"offsets": offsets, "key_schema_id": None, "value_schema_id": None}
        return answer(content, media_type, _status(outcomes))

    @router.post("/topics/{topic}", **openapi.produce("Produce records to a topic"))
    async def produce_to_topic(request: Request, topic: str) -> Response:
        return await produce(request, topic)

    @router.post("/topics/{topic}/partitions/{partition}", **openapi.produce("Produce records to one partition"))
    async def produce_to_partition(request: Request, topic: str, partition: str) -> Response:
        return await produce(request, topic, _partition_number(partition))

    @router.get("/topics", **openapi.metadata("Names of all topics", openapi.NAMES))
    async def topics(request: Request) -> Response:
        media_type = negotiate(request.headers.get("accept"))
        return answer(sorted((await cluster.fresh()).topics), media_type)

    @router.get("/topics/{topic}", **openapi.metadata("A topic, its configuration and partitions", openapi.TOPIC))
    async def topic_metadata(request: Request, topic: str) -> Response:
        media_type = negotiate(request.headers.get("accept"))
        partitions = await _partitions(cluster, topic)
        content = {"name": topic, "configs": await cluster.configs(topic), "partitions": partitions}
        return answer(content, media_type)

    @router.get("/topics/{topic}/partitions", **openapi.metadata("A topic's partitions", openapi.PARTITIONS))
    async def partitions(request: Request, topic: str) -> Response:
        media_type = negotiate(request.headers.get("accept"))
        return answer(await _partitions(cluster, topic), media_type)

    @router.get("/topics/{topic}/partitions/{partition}", **openapi.metadata("One partition", openapi.PARTITION))
    async def partition_metadata(request: Request, topic: str, partition: str) -> Response:
        media_type = negotiate(request.headers.get("accept"))
        return answer(await _partition(cluster, topic, _partition_number(partition)), media_type)

    @router.get(
        "/topics/{topic}/partitions/{partition}/offsets",
        **openapi.metadata("First and next offset of a partition", openapi.OFFSETS),
    )
    async def offsets(request: Request, topic: str, partition: str) -> Response:
        media_type = negotiate(request.headers.get("accept"))
        number = _partition_number(partition)
        await _partition(cluster, topic, number)
        first, following = await cluster.offsets(topic, number)
        return answer({"beginning_offset": first, "end_offset": following}, media_type)

    @router.get("/brokers", **openapi.metadata("Ids of the brokers", openapi.BROKERS))
    async def brokers(request: Request) -> Response:
        media_type = negotiate(request.headers.get("accept"))
        return answer({"brokers": (await cluster.fresh()).brokers}, media_type)

    @router.api_route("/consumers/{rest:path}", methods=["GET", "POST", "PUT", "DELETE"], include_in_schema=False)
    async def consumers(rest: str) -> Response:  # noqa: ARG001  # the path's
        raise ProxyError(
            404,
            404,
            "REST consumers are not part of Pinline. Read a topic with `pinline topics tail NAME` or a Kafka client.",
        )

    return router


async def _write(
    writer: Writer, cluster: Cluster, topic: str, records: list[Record], partition: int | None
) -> list[Outcome]:
    """Write the records whose partition exists; the others get their error in their place."""
    highest = max(0, *(record.partition for record in records))
    found = await cluster.topic(topic, highest)
    if found is None:
        raise ProxyError(404, 40401, "Topic not found.")
    count = len(found.partitions)
    if highest < count:
        return await writer.send(topic, records)
    if partition is not None:
        raise ProxyError(404, 40402, "Partition not found.")
    possible = [record for record in records if record.partition < count]
    written = iter(await writer.send(topic, possible) if possible else [])
    return [
        next(written)
        if record.partition < count
        else failed(50002, f"Partition {record.partition} of topic {topic} does not exist; it has {count}.")
        for record in records
    ]


def _status(outcomes: list[Outcome]) -> int:
    """Return the status of an answer: that of a refused access, of any record, else 200."""
    codes = {outcome.error_code for outcome in outcomes}
    return 401 if 40101 in codes else 403 if 40301 in codes else 200


def _check_name(topic: str) -> None:
    if not _TOPIC_NAME.fullmatch(topic) or topic in (".", ".."):
        message = f"Topic name {topic[:100]!r} is not valid: 1 to 249 of letters, digits, '.', '_' and '-'."
        raise ProxyError(400, 40002, message)


def _partition_number(text: str) -> int:
    """Return a partition of the path; what is no 32-bit integer is no path of the proxy's (404)."""
    if not _PARTITION.fullmatch(text) or not -(2**31) <= int(text) < 2**31:
        raise http_error(404)
    if int(text) < 0:
        raise ProxyError(404, 40402, "Partition not found.")
    return int(text)


async def _partitions(cluster: Cluster, topic: str) -> list[dict[str, Any]]:
    _check_name(topic)
    found = (await cluster.fresh()).topics.get(topic)
    if found is None:
        raise unknown_topic_partition()
    return [_described(partition) for _, partition in sorted(found.partitions.items())]


async def _partition(cluster: Cluster, topic: str, number: int) -> dict[str, Any]:
    for described in await _partitions(cluster, topic):
        if described["partition"] == number:
            return described
    raise ProxyError(404, 40402, "Partition not found.")


def _described(partition: PartitionMetadata) -> dict[str, Any]:
    return {
        "partition": partition.id,
        "leader": partition.leader,
        "replicas": [
            {"broker": broker, "leader": broker == partition.leader, "in_sync": broker in partition.isrs}
            for broker in partition.replicas
        ],
    }
