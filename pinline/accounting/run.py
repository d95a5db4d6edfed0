"""One accounting: collect each hop's facts in the order in which events pass, and compare them."""

from dataclasses import dataclass
from typing import Any

from pinline import aws, kafka_log
from pinline.accounting import facts
from pinline.accounting.balance import Acknowledged, Balance, compare
from pinline.accounting.streams import StreamBalance, compare_stream
from pinline.events import EVENTS
from pinline.settings import Settings

_NONE = Acknowledged(frozenset(), 0)


@dataclass(frozen=True)
class BothSides:
    """The balances of one event type: the batch side's, and the streaming side's."""

    batch: Balance
    stream: StreamBalance

    @property
    def balanced(self) -> bool:
        """Whether nothing is wrong on either side."""
        return self.batch.balanced and self.stream.balanced

    def to_json(self) -> dict[str, Any]:
        """Return the batch side's fields, with `stream` among them; `balanced` is of both."""
        return {**self.batch.to_json(), "balanced": self.balanced, "stream": self.stream.to_json()}


def account(settings: Settings, tell: facts.Tell) -> dict[str, BothSides]:
    """Return the balances for each event name. The ledger is read first, so that what follows can only hold more."""
    tell("the ledger")
    acknowledged = facts.acknowledged(settings, "kafka")
    streamed = facts.acknowledged(settings, "kinesis")
    s3 = aws.s3_client(settings)
    with kafka_log.connect(settings) as consumer, kafka_log.connect_admin(settings) as admin:
        dead = facts.dead_letters(consumer, settings)
        ids = {topic["name"]: str(topic["topic_id"]) for topic in admin.describe_topics() if topic.get("topic_id")}
        partitions = {
            event.name: facts.kafka_partitions(consumer, event.topic(settings.user_id), dead, tell) for event in EVENTS
        }
    tell("silver and quarantine")
    lake = facts.lake(settings)
    tell("the stream's tables")
    stream_tables = facts.stream_tables(settings)
    balances: dict[str, BothSides] = {}
    for event in EVENTS:
        topic = event.topic(settings.user_id)
        objects = facts.object_lines(s3, settings, event, tell)
        batch = compare(
            acknowledged.get(event.name, _NONE),
            topic,
            ids.get(topic),
            partitions[event.name],
            objects,
            lake[event.name],
        )
        stream = compare_stream(streamed.get(event.name, _NONE), stream_tables[event.name])
        balances[event.name] = BothSides(batch, stream)
    return balances
