"""AWS's signature version 4, checked against configured keys. By default any caller is let in.

Steps and names are those of AWS's "Create a signed API request".
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote_plus

from kinesis.errors import KinesisError

_CLOCK_SKEW = timedelta(minutes=5)


class SignatureCheck:
    """Lets those requests pass that are signed with one of `keys` (access key id to secret)."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = keys

    def require(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, now: datetime | None = None
    ) -> None:
        """Raise AWS's error unless the request is signed as it has to be. `headers` have lower-case names."""
        authorization = headers.get("authorization", "")
        if not authorization:
            raise KinesisError("MissingAuthenticationTokenException", "Missing Authentication Token")
        fields = _fields(authorization)
        missing = "".join(
            f"Authorization header requires '{name}' parameter. "
            for name in ("Credential", "Signature", "SignedHeaders")
            if not fields.get(name)
        )
        stamp = headers.get("x-amz-date", "")
        if not stamp:
            missing += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
        if missing:
            raise KinesisError("IncompleteSignatureException", missing + "Authorization=" + authorization)
        key_id, _, scope = fields["Credential"].partition("/")
        secret = self._keys.get(key_id)
        if secret is None or scope.count("/") != 3:
            raise KinesisError("UnrecognizedClientException", "The security token included in the request is invalid.")
        _require_recent(stamp, now or datetime.now(UTC))
        signed = fields["SignedHeaders"].split(";")
        payload = hashlib.sha256(body).hexdigest()
        canonical = "\n".join(
            [
                method,
                quote(path or "/", safe="/~"),
                _canonical_query(query),
                *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in signed),
                "",
                fields["SignedHeaders"],
                payload,
            ]
        )
        to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        expected = hmac.new(_signing_key(secret, scope), to_sign.encode(), "sha256").hexdigest()
        if not hmac.compare_digest(expected.encode(), fields["Signature"].encode()):
            raise KinesisError(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
                "Access Key and signing method. Consult the service documentation for details.",
            )


def _fields(authorization: str) -> dict[str, str]:
    _, _, rest = authorization.partition(" ")
    parts = (part.strip().partition("=") for part in rest.split(","))
    return {name: value for name, _, value in parts}


def _require_recent(stamp: str, now: datetime) -> None:
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise KinesisError(
            "IncompleteSignatureException", f"Date must be in ISO-8601 'basic format'. Got '{stamp}'."
        ) from None
    if abs(now - signed_at) > _CLOCK_SKEW:
        raise KinesisError(
            "InvalidSignatureException",
            f"Signature expired: {stamp} is not within {_CLOCK_SKEW} of {now:%Y%m%dT%H%M%SZ}",
        )


def _canonical_query(query: str) -> str:
    pairs = (part.partition("=") for part in query.split("&") if part)
    return "&".join(sorted(f"{_encoded(name)}={_encoded(value)}" for name, _, value in pairs))


def _encoded(text: str) -> str:
    return quote(unquote_plus(text), safe="~")


def _signing_key(secret: str, scope: str) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
