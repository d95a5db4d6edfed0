"""One accounting: collect each hop's facts in the order in which events pass, and compare them."""

from pinline import aws, kafka_log
from pinline.accounting import facts
from pinline.accounting.balance import Acknowledged, Balance, compare
from pinline.events import EVENTS
from pinline.settings import Settings

_NONE = Acknowledged(frozenset(), 0)


def account(settings: Settings, tell: facts.Tell) -> dict[str, Balance]:
    """Return a balance for each event name. The ledger is read first, so that what follows can only hold more."""
    tell("the ledger")
    acknowledged = facts.acknowledged(settings)
    s3 = aws.s3_client(settings)
    with kafka_log.connect(settings) as consumer, kafka_log.connect_admin(settings) as admin:
        dead = facts.dead_letters(consumer, settings)
        ids = {topic["name"]: str(topic["topic_id"]) for topic in admin.describe_topics() if topic.get("topic_id")}
        partitions = {
            event.name: facts.kafka_partitions(consumer, event.topic(settings.user_id), dead, tell) for event in EVENTS
        }
    tell("silver and quarantine")
    lake = facts.lake(settings)
    balances: dict[str, Balance] = {}
    for event in EVENTS:
        topic = event.topic(settings.user_id)
        objects = facts.object_lines(s3, settings, event, tell)
        balances[event.name] = compare(
            acknowledged.get(event.name, _NONE),
            topic,
            ids.get(topic),
            partitions[event.name],
            objects,
            lake[event.name],
        )
    return balances
