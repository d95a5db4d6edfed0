"""When more is in work than the gateway holds in memory. No Kafka is asked."""

import asyncio
from dataclasses import replace

import httpx
import pytest

from gateway.app import create_app, create_parts
from gateway.intake import BODY_LIMIT, Intake
from pinline.settings import Settings

pytestmark = pytest.mark.unit

HEADERS = {"Content-Type": "application/vnd.kafka.json.v2+json"}


def ask(stage: str | None, *, memory_limit: int, headers: dict[str, str]) -> httpx.Response:
    values = Settings(_env_file=None, kafka_bootstrap_servers="127.0.0.1:1")  # type: ignore[call-arg]
    whole = create_parts(values)
    intake = Intake(whole.metrics.body_bytes, memory_limit=memory_limit)
    app = create_app(values, replace(whole, intake=intake), stage=stage)

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
            path = f"/{stage}/topics/t" if stage else "/topics/t"
            return await client.post(path, content=b'{"records":[{"value":1}]}', headers=headers)

    answer = asyncio.run(post())
    whole.cluster.close()
    return answer


def test_bodies_beyond_the_memory_limit_are_asked_to_come_later() -> None:
    behind = ask("dev", memory_limit=10, headers=HEADERS)
    assert (behind.status_code, behind.json()) == (429, {"message": "Too Many Requests"})
    assert behind.headers["x-amzn-ErrorType"] == "TooManyRequestsException"
    plain = ask(None, memory_limit=10, headers=HEADERS)
    assert (plain.status_code, plain.json()["error_code"]) == (429, 42901)


@pytest.mark.parametrize("length", [str(BODY_LIMIT + 1), "9" * 5000])
def test_a_declared_length_beyond_the_limit_is_refused_before_the_body_is_read(length: str) -> None:
    answer = ask("dev", memory_limit=BODY_LIMIT, headers={**HEADERS, "Content-Length": length})
    assert (answer.status_code, answer.json()) == (413, {"message": "Request Too Long"})
