"""What can go wrong, as one tree: each text says what was being done, what was found and what to do."""


class KinesisSourceError(Exception):
    """Any error of this source."""


class OptionError(KinesisSourceError):
    """An option is unknown, missing, or has a value that isn't valid."""


class OffsetError(KinesisSourceError):
    """A checkpoint's offset doesn't fit this query."""


class AccessError(KinesisSourceError):
    """Kinesis refused the credentials, or there are none."""


class StreamNotFoundError(KinesisSourceError):
    """A stream doesn't exist, or doesn't any more."""


class StreamRecreatedError(KinesisSourceError):
    """A stream was deleted and created again since the checkpoint was written."""


class DataLossError(KinesisSourceError):
    """Records that weren't read yet are gone, as far as can be known."""


class AggregationError(KinesisSourceError):
    """A record says that it is aggregated, and can't be taken apart."""


class RequestError(KinesisSourceError):
    """Kinesis refused a request for a reason that doesn't pass by itself."""


class UnreachableError(KinesisSourceError):
    """Kinesis didn't answer, was throttling or failed: worth another try."""


class IteratorExpiredError(KinesisSourceError):
    """A shard iterator is older than five minutes: take a new one."""
