"""The gateway, 500 records a request, beside the bare producer that writes the same records."""

from collections.abc import Iterator
from pathlib import Path

from bench import bare
from bench.figures import Goal, Row, Size
from bench.gateway import body
from bench.load import Post, load
from pinline.events import GEO, PIN
from pinline.settings import address
from tests.fixtures.backends import embedded_stack

_RECORDS = 500
_CONNECTIONS = 8


def rows(folder: Path, size: Size) -> Iterator[Row]:
    """Yield records/s."""
    with embedded_stack(folder, "kafka", "gateway") as stack:
        settings = stack.settings
        port = address(settings.api_invoke_url)[1]
        path = f"/dev/topics/{PIN.topic(settings.user_id)}"
        posts = [Post(path, body(first, _RECORDS)) for first in range(0, 40 * _RECORDS, _RECORDS)]
        found = load(port, posts, _CONNECTIONS, size.seconds, folder)
        records = [bare.record(number) for number in range(40 * _RECORDS)]
        again = max(1, size.records // len(records))
        kafka = settings.kafka_bootstrap_servers
        peer = bare.write(kafka, [GEO.topic(settings.user_id)], (value for _ in range(again) for value in records))
    goal = Goal(ratio=0.25, least=100_000)
    note = f"{found.client}, {_CONNECTIONS} connections; p50 {found.p50:.1f} ms, p99 {found.p99:.1f} ms"
    what = f"batches of {_RECORDS}, {bare.RECORD_BYTES} B"
    yield Row("batches", what, found.rate * _RECORDS, "records/s", "bare confluent-kafka", peer, goal, note)
