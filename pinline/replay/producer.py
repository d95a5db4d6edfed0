"""The producer of a replay: one at a time, because its transactional id ends every earlier one."""

from collections.abc import Iterator
from contextlib import contextmanager

from kafka import KafkaProducer
from kafka.errors import KafkaError, ProducerFencedError

from pinline import kafka_log
from pinline.errors import PinlineError, StateError
from pinline.kafka import kafka_python_config
from pinline.settings import Settings

_TRANSACTION_MS = 30_000
"""How long a killed replay can keep readers of committed records waiting; the next replay ends it at once."""
_LARGEST = 10 * 1024 * 1024 + 64 * 1024


@contextmanager
def only_producer(settings: Settings) -> Iterator[KafkaProducer]:
    """Yield a producer that has ended every earlier replay, also one that is still running.

    Raises UnreachableError, StateError when another replay took over, or PinlineError.
    """
    try:
        producer = KafkaProducer(
            **kafka_python_config(settings),
            transactional_id=f"replay.{settings.user_id}",
            transaction_timeout_ms=_TRANSACTION_MS,
            acks="all",
            max_request_size=_LARGEST,
            bootstrap_timeout_ms=5000,
        )
    except KafkaError as error:
        raise kafka_log.unreachable(settings, error) from None
    try:
        producer.init_transactions()
        yield producer
    except ProducerFencedError:
        raise StateError("another replay was started and took over from this one. See what it says.") from None
    except KafkaError as error:
        raise PinlineError(
            f"sending to Kafka again failed: {error}. What was sent until then is marked; run it again for the rest."
        ) from error
    finally:
        # an open transaction is ended by the next replay, or by Kafka after its timeout
        producer.close(timeout=5)
