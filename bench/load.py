"""Load over HTTP that costs little itself: requests are made beforehand and sent over kept connections.

`wrk` sends them if it is on PATH, else the connections of this process.
"""

import asyncio
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httptools
import uvloop

_KAFKA_JSON = {"Content-Type": "application/vnd.kafka.json.v2+json", "Accept": "application/vnd.kafka.v2+json"}
_WARM_S = 1.0

_SCRIPT = """
local requests, at = {}, 0
function init()
  wrk.headers["Content-Type"] = "%(Content-Type)s"
  wrk.headers["Accept"] = "%(Accept)s"
  for line in io.lines("%(file)s") do
    local path, body = line:match("^(%%S+)\\t(.*)$")
    requests[#requests + 1] = wrk.format("POST", path, nil, body)
  end
end
function request()
  at = at %% #requests + 1
  return requests[at]
end
function done(summary, latency)
  local wrong = summary.errors
  io.write(string.format("figures %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    wrong.connect + wrong.read + wrong.write + wrong.status + wrong.timeout))
end
"""


class Answer:
    """Collects one HTTP answer."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.body = bytearray()
        self.done = False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """Note the end."""
        self.done = True


class Connection:
    """One connection, kept if the service keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, head: str, body: bytes) -> bytes:
        """Send a request with the header lines `head`; return the body. Raises RuntimeError unless it is a 200."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**24)
        reader, writer = self._streams
        start = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}Content-Length: {len(body)}\r\n\r\n"
        writer.write(start.encode() + body)
        answer = Answer()
        while not answer.done:
            data = await reader.read(2**20)
            if not data:
                raise ConnectionError(f"{path}: the connection was closed")
            answer.parser.feed_data(data)
        if not answer.parser.should_keep_alive():
            self.close()
        if answer.parser.get_status_code() != 200:
            raise RuntimeError(f"{path}: {bytes(answer.body[:300])!r}")
        return bytes(answer.body)

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass(frozen=True)
class Post:
    """One request. The body has no line break."""

    path: str
    body: bytes


@dataclass(frozen=True)
class Speed:
    """What a load found: requests/s, and latencies in ms."""

    rate: float
    p50: float
    p99: float
    client: str


def load(port: int, posts: Sequence[Post], connections: int, seconds: float, folder: Path) -> Speed:
    """Send the posts in turn, again and again, for `seconds`, after a second to warm up. `folder` gets wrk's files.

    Raises RuntimeError unless every answer is a 200.
    """
    if wrk := shutil.which("wrk"):
        file = folder / "posts.tsv"
        file.write_bytes(b"".join(b"%b\t%b\n" % (post.path.encode(), post.body) for post in posts))
        script = folder / "posts.lua"
        script.write_text(_SCRIPT % {**_KAFKA_JSON, "file": file})
        _wrk(wrk, script, port, connections, _WARM_S)
        return _wrk(wrk, script, port, connections, seconds)
    uvloop.run(_raw(port, posts, connections, _WARM_S))
    return uvloop.run(_raw(port, posts, connections, seconds))


def _wrk(wrk: str, script: Path, port: int, connections: int, seconds: float) -> Speed:
    command = [wrk, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s", str(script)]
    done = subprocess.run([*command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True)
    found = re.search(r"^figures (\d+) (\d+) (\d+) (\d+) (\d+)$", done.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"wrk said:\n{done.stdout}{done.stderr}")
    requests, microseconds, p50, p99, wrong = map(int, found.groups())
    if wrong or not requests:
        raise RuntimeError(f"{wrong} of {requests} requests failed:\n{done.stdout}")
    return Speed(requests / microseconds * 1e6, p50 / 1000, p99 / 1000, "wrk")


async def _raw(port: int, posts: Sequence[Post], connections: int, seconds: float) -> Speed:
    head = "".join(f"{name}: {value}\r\n" for name, value in _KAFKA_JSON.items())
    times: list[float] = []
    at = 0
    end = time.perf_counter() + seconds

    async def work() -> None:
        nonlocal at
        connection = Connection(port)
        while (begun := time.perf_counter()) < end:
            post = posts[at % len(posts)]
            at += 1
            await connection.post(post.path, head, post.body)
            times.append(time.perf_counter() - begun)
        connection.close()

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(connections)))
    spent = time.perf_counter() - begun
    times.sort()
    return Speed(
        len(times) / spent, statistics.median(times) * 1000, times[int(len(times) * 0.99)] * 1000, "raw client"
    )
