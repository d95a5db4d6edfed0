"""Kinesis behind API Gateway, as a target: `PUT {API_INVOKE_URL}/streams/<stream>/record`, the tutorial's API.

A request of several records goes to `.../records`. The API may answer Kinesis's errors with their status or with 200
(the tutorial's does): `__type` in the body decides, whatever the status.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from emulator.rows import Record
from emulator.target import (
    NO_STAGE,
    STUBBORN_ATTEMPTS,
    Accepted,
    Answer,
    Failed,
    Outcome,
    Request,
    TooLargeError,
    by_status,
    parse,
    refused,
)
from pinline.events import EventType
from pinline.ledger import Destination

MOST_RECORDS = 500
"""Of a PutRecords."""
_PASSING = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "KMSThrottlingException",
        "InternalFailure",
        "InternalFailureException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "ThrottlingException",
    }
)
"""Errors after which the same record may well succeed."""
_OF_THE_RECORD = frozenset({"ValidationException", "InvalidArgumentException", "SerializationException"})
_CHECKS = {
    200: "that is no answer of a Kinesis. What listens there?",
    400: "API_INVOKE_URL ends with the stage (.../dev). Does its /streams lead to Kinesis?",
    401: NO_STAGE,
    403: NO_STAGE,
    404: "API_INVOKE_URL ends with the stage (.../dev). Does the API have /streams?",
}
_MISSING = "the stream is missing. `make up` makes it. Is USER_ID right?"


class KinesisStreams:
    """The three streams. The partition key is the event key; acknowledged: it has a sequence number."""

    destination: Destination = "kinesis"
    setting = "API_INVOKE_URL"

    def __init__(self, url: str, user_id: str) -> None:
        self.url = url
        self._user_id = user_id
        self._headers = {"Content-Type": "application/json"}

    def probe(self) -> Request:
        """List the streams."""
        return Request("GET", f"{self.url}/streams", {}, b"")

    def request(self, event: EventType, records: Sequence[Record]) -> Request:
        """Return `{"StreamName", "Data": {<row>}, "PartitionKey": "<index>"}`, or `{"records": [...]}` for several."""
        stream = event.stream(self._user_id)
        url = f"{self.url}/streams/{stream}/record"
        if len(records) == 1:
            (record,) = records
            body = b'{"StreamName":"%b","Data":%b,"PartitionKey":"%b"}' % (
                stream.encode(),
                record.value,
                record.key.encode(),
            )
            return Request("PUT", url, self._headers, body)
        # a string is stored without its quotes: the row's text, as the other route stores it
        entries = (
            b'{"data":%b,"partition-key":"%b"}' % (orjson.dumps(record.value.decode()), record.key.encode())
            for record in records
        )
        return Request("PUT", f"{url}s", self._headers, b'{"records":[%b]}' % b",".join(entries))

    def outcomes(self, request: Request, count: int, answer: Answer) -> list[Outcome]:
        """Read an answer; see `Target`."""
        body = parse(answer.body)
        if not isinstance(body, dict):
            return by_status(self, request, count, answer, _CHECKS)
        if kind := body.get("__type"):
            return self._error(request, count, answer, str(kind).rpartition("#")[2])
        entries = body.get("Records", [body])
        if answer.status == 200 and len(entries) == count and all(map(_is_told, entries)):
            return [_outcome(entry) for entry in entries]
        return by_status(self, request, count, answer, _CHECKS)

    def _error(self, request: Request, count: int, answer: Answer, kind: str) -> list[Outcome]:
        if kind in _PASSING or answer.status >= 500:
            return [Failed(f"{kind}: {_message(answer)}")] * count
        if kind in _OF_THE_RECORD:
            if count > 1:
                raise TooLargeError
            return [Failed(f"{kind}: {_message(answer)}", attempts=1)]
        check = _MISSING if kind == "ResourceNotFoundException" else f"Kinesis refuses it ({kind})."
        raise refused(self, request, answer, check)


def _is_told(entry: Mapping[str, Any]) -> bool:
    return "SequenceNumber" in entry or "ErrorCode" in entry


def _outcome(entry: Mapping[str, Any]) -> Outcome:
    code = entry.get("ErrorCode")
    if code is None:
        return Accepted(str(entry.get("ShardId")), str(entry["SequenceNumber"]))
    reason = f"record error {code}: {entry.get('ErrorMessage')}"
    return Failed(reason, attempts=None if code in _PASSING else STUBBORN_ATTEMPTS)


def _message(answer: Answer) -> str:
    return str(parse(answer.body).get("message", ""))[:300]
