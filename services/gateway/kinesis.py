"""Call Kinesis as API Gateway's AWS integration does: a signed POST of an action's JSON body, over pooled connections.

Nothing is repeated here: whoever asked gets Kinesis's answer, or the error of an integration that failed, and asks
again.
"""

import asyncio
from typing import NamedTuple

import aiohttp
import structlog
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from pinline import aws
from pinline.settings import Settings

log = structlog.get_logger("gateway.kinesis")

_CONNECTIONS = 128
_KEEP_ALIVE_S = 15
"""Shorter than servers keep a connection, so that no request meets one that is being closed."""
_TIMEOUT = aiohttp.ClientTimeout(total=28, sock_connect=5)
"""Below API Gateway's 29 s."""


class Reply(NamedTuple):
    """Kinesis's answer: status and JSON body."""

    status: int
    body: bytes


class IntegrationError(Exception):
    """Kinesis gave no answer. `timed_out`: it may yet do what it was asked."""

    def __init__(self, *, timed_out: bool) -> None:
        super().__init__()
        self.timed_out = timed_out


class Kinesis:
    """The Kinesis that the settings name. Used by many requests at once, on one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._account: aws.Account | None = None
        self._session: aiohttp.ClientSession | None = None

    async def call(self, action: str, body: bytes) -> Reply:
        """Do `action`, such as `PutRecord`. Raises IntegrationError, and SettingsError without credentials."""
        if self._account is None:  # not before it is needed: to look for a role's credentials takes seconds
            self._account = await asyncio.to_thread(aws.kinesis_account, self._settings)
        url = self._account.url
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"Kinesis_20131202.{action}",
        }
        request = AWSRequest("POST", url, headers, body)
        SigV4Auth(self._account.credentials(), "kinesis", self._account.region).add_auth(request)
        try:
            async with self._pool().post(url, data=body, headers=dict(request.headers.items())) as answer:
                return Reply(answer.status, await answer.read())
        except TimeoutError:
            log.warning("kinesis_gave_no_answer", action=action, url=url)
            raise IntegrationError(timed_out=True) from None
        except (aiohttp.ClientError, OSError) as error:
            log.warning("kinesis_is_not_reached", action=action, url=url, error=str(error))
            raise IntegrationError(timed_out=False) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _pool(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE_S)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=_TIMEOUT
            )
        return self._session
