"""Whatever is sent, the answer is never a 5xx: random bodies, paths and headers, and what the OpenAPI document allows.

In process, by ASGI, with the real producer and Kafka: the same application as behind the ports.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx
import pytest
import schemathesis
import uvloop
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.app import create_app, create_parts
from pinline.settings import Settings
from tests.fixtures.gateway import Gateway

pytestmark = pytest.mark.contract

_SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_JSON = st.recursive(
    _SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
_RECORD = st.fixed_dictionaries(
    {}, optional={"key": _JSON, "value": _JSON, "partition": st.integers(-2, 4) | _JSON, "headers": _JSON}
)
_PRODUCE = st.fixed_dictionaries({"records": st.lists(_RECORD | _JSON, max_size=4)}, optional={"value_schema": _JSON})
_BODY = st.one_of(
    st.binary(max_size=200),
    (_PRODUCE | _JSON).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    st.integers(1, 4000).map(lambda depth: b'{"records":[{"value":' + b"[" * depth + b"]" * depth + b"}]}"),
)
_SEGMENT = st.sampled_from(["topics", "{topic}", "partitions", "offsets", "0", "1", "brokers", "consumers", "..", ""])
_PATH = st.lists(_SEGMENT | st.text(max_size=12), max_size=6).map("/".join)
_TYPE = st.sampled_from(
    [
        "application/vnd.kafka.json.v2+json",
        "application/vnd.kafka.binary.v2+json",
        "application/vnd.kafka.avro.v2+json",
        "application/json",
        "",
    ]
) | st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=30)
_METHOD = st.sampled_from(["POST", "POST", "POST", "GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])


@asynccontextmanager
async def in_process(values: Settings) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """Clients of both applications, by stage."""
    parts = create_parts(values)
    parts.start()
    clients = {
        prefix: httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(values, parts, stage=stage), raise_app_exceptions=True),
            base_url="http://gateway",
        )
        for prefix, stage in (("/dev", "dev"), ("", None))
    }
    try:
        yield clients
    finally:
        for client in clients.values():
            await client.aclose()
        parts.close()


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as found:
        yield found


def test_10_000_random_bodies_and_paths_never_give_a_5xx(gateway: Gateway, runner: asyncio.Runner) -> None:
    values = Settings(_env_file=None, kafka_bootstrap_servers=gateway.kafka)  # type: ignore[call-arg]
    topic = gateway.make_topic(2)
    context = in_process(values)
    clients = runner.run(context.__aenter__())

    async def ask(method: str, path: str, body: bytes, headers: dict[str, bytes]) -> None:
        for prefix, client in clients.items():
            url = httpx.URL("http://gateway", raw_path=_escaped(f"{prefix}/{path}"))
            answer = await client.request(method, url, content=body, headers=headers)
            assert answer.status_code < 500, answer.text
            if answer.status_code >= 400 and method != "HEAD":
                content = answer.json()
                assert "message" in content or "offsets" in content

    # what is not found costs the wait for the next metadata, so most paths name the topic
    to_the_topic = st.sampled_from(
        [f"topics/{topic}", f"topics/{topic}/partitions/0", f"topics/{topic}/partitions/9999999999"]
    )

    @settings(
        max_examples=5000,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(_METHOD, st.sampled_from([True] * 30 + [False]), to_the_topic, _PATH, _BODY, _TYPE, _TYPE)
    def every_answer_is_below_500(
        method: str, known: bool, good: str, path: str, body: bytes, content_type: str, accept: str
    ) -> None:
        headers = {"Content-Type": content_type.encode(), "Accept": (accept or "*/*").encode()}
        runner.run(ask(method, good if known else path.replace("{topic}", topic), body, headers))

    try:
        every_answer_is_below_500()
    finally:
        runner.run(context.__aexit__(None, None, None))


@pytest.mark.parametrize("listener", ["root", "proxy"])
def test_answers_are_those_of_the_openapi_document(gateway: Gateway, listener: str) -> None:
    document = schemathesis.openapi.from_url(f"{getattr(gateway, listener)}/openapi.json").exclude(tag="streams")
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]

    @settings(max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.one_of([found.ok().as_strategy() for found in document.get_all_operations()]))
    def conforms(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=checks)

    conforms()


def _escaped(path: str) -> bytes:
    return quote(path.encode("utf-8", "surrogatepass"), safe="/").encode()
