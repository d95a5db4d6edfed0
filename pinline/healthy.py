"""`python -m pinline.healthy URL...`: exit code 0 if each address answers as a working service does, else 1 with why.

`http://host:port/path` has to answer 200; `sc://host:port` has to speak HTTP/2, as Spark Connect's gRPC does. Health
checks of containers run it every few seconds: it needs nothing but the standard library, of which it imports little.
"""

import socket
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

_SECONDS = 3.0
_SHOWN = 500
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = 4
"""The type of the frame that either side of HTTP/2 begins with (RFC 9113, 3.4 and 6.5)."""
_EMPTY_SETTINGS = bytes([0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0])


def problem(url: str) -> str | None:
    """Return in a line why the address doesn't answer as it should, or None. Raises ValueError for another scheme."""
    parts = urlsplit(url)
    checks = {"http": _http, "sc": _http2}
    if parts.scheme not in checks or not parts.hostname or not parts.port:
        raise ValueError(f"{url}: expected http://host:port/path or sc://host:port")
    place = (parts.hostname, parts.port)
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    try:
        with socket.create_connection(place, timeout=_SECONDS) as connection:
            found = checks[parts.scheme](connection, parts.netloc, path)
    except OSError as error:
        found = str(error)
    return f"{url}: {found}" if found else None


def _http(connection: socket.socket, host: str, path: str) -> str | None:
    connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = b""
    while part := connection.recv(65536):
        answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0].decode(errors="replace")
    if status.split(" ")[1:2] == ["200"]:
        return None
    return " ".join(f"{status} {body.decode(errors='replace')}".split())[:_SHOWN] or "it closed the connection"


def _http2(connection: socket.socket, _host: str, _path: str) -> str | None:
    connection.sendall(_PREFACE + _EMPTY_SETTINGS)
    frame = connection.recv(9, socket.MSG_WAITALL)
    return None if len(frame) == 9 and frame[3] == _SETTINGS else f"no HTTP/2: it answered {frame!r}"


def main(urls: Sequence[str]) -> int:
    """Ask every address; return the exit code."""
    try:
        problems = [found for url in urls if (found := problem(url))]
    except ValueError as error:
        problems = [str(error)]
    if not urls:
        problems = [__doc__.partition("\n")[0]]
    print("\n".join(problems), end="\n" if problems else "", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
