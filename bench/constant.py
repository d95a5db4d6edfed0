"""The gateway's application with a route that reads a body and answers a constant: the gateway can't be faster.

`python -m bench.constant PORT` serves it; with `--bare`, an application that has no other route and no middleware.
"""

import argparse
import asyncio
import socket

import uvloop
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from gateway.app import create_app, create_parts
from gateway.protocol import V2
from gateway.server import collect_seldom, listener
from pinline.settings import load

PATH = "/dev/constant"
_ANSWER = (
    b'{"offsets":[{"partition":0,"offset":1,"error_code":null,"error":null}],'
    b'"key_schema_id":null,"value_schema_id":null}'
)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--bare", action="store_true")
    arguments = parser.parse_args()
    settings = load()
    app = FastAPI() if arguments.bare else create_app(settings, create_parts(settings), stage="dev")

    @app.post(PATH)
    async def constant(request: Request) -> Response:
        await request.body()
        return Response(_ANSWER, media_type=V2)

    collect_seldom()
    sock = socket.create_server(("127.0.0.1", arguments.port), backlog=2048)
    with sock, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(listener(app).serve([sock]))


if __name__ == "__main__":
    main()
