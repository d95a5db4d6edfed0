"""AWS's errors, by their names and in their words, and this service's own at start.

Texts are those of the real service where they are known (recorded by the projects kinesalite and LocalStack).
"""


class KinesisError(Exception):
    """An answer that is an error: AWS's name of it, the text, the HTTP status."""

    def __init__(self, name: str, message: str | None = None, status: int = 400) -> None:
        super().__init__(message or name)
        self.name = name
        self.message = message
        self.status = status


class StartError(Exception):
    """The service can't start; the text says why and what to do."""


def invalid_argument(message: str) -> KinesisError:
    """Return AWS's error for an argument that is well-formed and wrong."""
    return KinesisError("InvalidArgumentException", message)


def validation(message: str) -> KinesisError:
    """Return AWS's error for an argument that its model doesn't allow."""
    return KinesisError("ValidationException", message)


def serialization(message: str | None = None) -> KinesisError:
    """Return AWS's error for a body that can't be read."""
    return KinesisError("SerializationException", message)


def stream_not_found(name: str, account: str) -> KinesisError:
    """Return AWS's error for a stream that doesn't exist, or can't be written or read in its state."""
    return KinesisError("ResourceNotFoundException", f"Stream {name} under account {account} not found.")


def shard_not_found(shard: str, name: str, account: str) -> KinesisError:
    """Return AWS's error for a shard that a stream doesn't have."""
    return KinesisError(
        "ResourceNotFoundException", f"Could not find shard {shard} in stream {name} under account {account}."
    )


def internal(message: str) -> KinesisError:
    """Return the error of this service's own failure (Kafka doesn't answer): SDKs send the request again."""
    return KinesisError("InternalFailure", message, 500)


def rate_exceeded(shard: str, stream: str, account: str) -> KinesisError:
    """A shard's limit is reached."""
    return KinesisError(
        "ProvisionedThroughputExceededException",
        f"Rate exceeded for shard {shard} in stream {stream} under account {account}.",
    )


def no_shard(shard: str, stream: str, account: str) -> KinesisError:
    """There is no such shard."""
    return KinesisError(
        "ResourceNotFoundException", f"Shard {shard} in stream {stream} under account {account} does not exist"
    )
