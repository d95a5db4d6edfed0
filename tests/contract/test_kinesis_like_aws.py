"""How Kinesis behaves, as a client sees it: run against our service and against MiniStack.

`OTHERWISE` says where MiniStack behaves otherwise. Such a test has to fail there (strictly), so the table in
docs/kinesis.md, which is made of it, stays true.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.backends import unique_user_id, wait_until
from tests.fixtures.kinesis import Kinesis, client, read_lineage, read_shard, unique_stream, wait_active, wait_gone

pytestmark = pytest.mark.contract

OTHERWISE = {
    "test_a_split_parent_keeps_its_records": "the parent is gone at once, with what nobody had read",
    "test_a_closed_shard_ends_with_its_children": "a closed shard can't be read to its end",
    "test_a_merge_keeps_the_records_of_both_parents": "both parents are gone at once, with what nobody had read",
    "test_update_shard_count_keeps_all_records": "all records are gone, shard ids are used again",
    "test_a_closed_shard_has_an_ending_sequence_number": "closed shards aren't listed",
    "test_shard_filters": "closed shards aren't listed",
    "test_sequence_numbers_have_the_shape_of_aws": "30 digits with leading zeros",
    "test_an_iterator_is_a_position_and_not_an_object": "iterators are objects on the server; garbage is expired",
    "test_a_sequence_number_of_another_stream_is_refused": "any text is taken",
    "test_a_sequence_number_of_another_shard_is_refused": "any text is taken",
    "test_an_explicit_hash_key_above_the_range_is_refused": "it is taken",
    "test_a_time_in_the_future_is_refused": "it is taken",
    "test_a_start_that_contradicts_itself_is_refused": "it is taken",
    "test_closed_shards_cannot_be_split_again": "ResourceNotFoundException: the shard isn't there any more",
    "test_shards_that_are_no_neighbours_are_not_merged": "they are merged",
    "test_a_shard_is_not_split_at_its_edge": "ValidationException instead of InvalidArgumentException",
    "test_retention_has_the_limits_of_aws": "ValidationException instead of InvalidArgumentException",
    "test_a_put_to_a_missing_stream_is_named_as_by_aws": "another text",
    "test_a_dry_run_writes_nothing": "the record is written",
    "test_streams_are_deleted_with_a_state_in_between": "gone at once",
    "test_stream_and_arn_have_to_agree": "the name wins",
    "test_shards_come_in_pages": "pages of ListShards can't be followed: the token needs the stream's name again",
    "test_the_mode_can_be_changed": "no UpdateStreamMode",
    "test_limits_are_described": "no DescribeLimits",
}
HALF = str(2**127)


class Cloud:
    """An endpoint that stands for AWS."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.kinesis = client(url)


@pytest.fixture(params=["ours", "ministack"])
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """The endpoint under test."""
    name = request.param
    test = request.node.originalname
    if name == "ministack":
        if test in OTHERWISE:
            request.node.add_marker(pytest.mark.xfail(reason=OTHERWISE[test], strict=True))
        yield Cloud(name, request.getfixturevalue("ministack_kinesis"))
    else:
        ours: Kinesis = request.getfixturevalue("kinesis")
        yield Cloud(name, ours.url)


def code(call: Callable[[], Any]) -> tuple[str, str]:
    """Return name and text of the error that a call ends with."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return "", ""


def put(kinesis: Any, stream: str, *texts: str) -> list[dict[str, Any]]:
    """Put records one after the other, each under its text as key."""
    return [kinesis.put_record(StreamName=stream, Data=text.encode(), PartitionKey=text) for text in texts]


def texts(records: list[dict[str, Any]]) -> list[str]:
    return [record["Data"].decode() for record in records]


def test_records_come_back_in_order_with_key_and_time(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    before = time.time()
    put(cloud.kinesis, stream, "a", "b", "c")
    records = read_shard(cloud.kinesis, stream, "shardId-000000000000")
    assert texts(records) == ["a", "b", "c"]
    assert [record["PartitionKey"] for record in records] == ["a", "b", "c"]
    assert all(before - 5 < record["ApproximateArrivalTimestamp"].timestamp() < time.time() + 5 for record in records)


def test_any_bytes_come_back_as_they_were(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    datas = [b"", b"\x00", bytes(range(256)), "ключ".encode(), b"x" * 1_000_000]
    for data in datas:
        cloud.kinesis.put_record(StreamName=stream, Data=data, PartitionKey="ключ")
    records = read_shard(cloud.kinesis, stream, "shardId-000000000000")
    assert [record["Data"] for record in records] == datas
    assert {record["PartitionKey"] for record in records} == {"ключ"}


def test_sequence_numbers_grow_and_are_those_of_the_put(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    numbers = [int(answer["SequenceNumber"]) for answer in put(cloud.kinesis, stream, *"abcdef")]
    assert numbers == sorted(set(numbers))
    records = read_shard(cloud.kinesis, stream, "shardId-000000000000")
    assert [int(record["SequenceNumber"]) for record in records] == numbers


def test_sequence_numbers_have_the_shape_of_aws(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    (answer,) = put(cloud.kinesis, stream, "a")
    assert len(answer["SequenceNumber"]) == 56
    assert answer["SequenceNumber"] == str(int(answer["SequenceNumber"]))


def test_put_records_answers_each_record_in_order(cloud: Cloud) -> None:
    stream = unique_stream(2, cloud.kinesis)
    entries = [{"Data": str(i).encode(), "PartitionKey": str(i)} for i in range(500)]
    answer = cloud.kinesis.put_records(StreamName=stream, Records=entries)
    assert answer["FailedRecordCount"] == 0
    where = {
        record["SequenceNumber"]: (shard, record["Data"])
        for shard in ("shardId-000000000000", "shardId-000000000001")
        for record in read_shard(cloud.kinesis, stream, shard)
    }
    assert [where[r["SequenceNumber"]] for r in answer["Records"]] == [
        (r["ShardId"], entry["Data"]) for r, entry in zip(answer["Records"], entries, strict=True)
    ]


def test_the_md5_of_the_key_or_the_explicit_hash_key_chooses_the_shard(cloud: Cloud) -> None:
    stream = unique_stream(2, cloud.kinesis)
    shards = {key: cloud.kinesis.put_record(StreamName=stream, Data=b"", PartitionKey=key)["ShardId"] for key in "abcd"}
    # first digits of the keys' MD5: 0, 9, 4, 8
    assert shards == {
        "a": "shardId-000000000000",
        "b": "shardId-000000000001",
        "c": "shardId-000000000000",
        "d": "shardId-000000000001",
    }
    for where, shard in (("0", "shardId-000000000000"), (str(2**128 - 1), "shardId-000000000001")):
        answer = cloud.kinesis.put_record(StreamName=stream, Data=b"", PartitionKey="a", ExplicitHashKey=where)
        assert answer["ShardId"] == shard


def test_an_explicit_hash_key_above_the_range_is_refused(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    name, _ = code(
        lambda: cloud.kinesis.put_record(StreamName=stream, Data=b"", PartitionKey="a", ExplicitHashKey=str(2**128))
    )
    assert name == "InvalidArgumentException"


def test_all_types_of_iterators(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    first, second = put(cloud.kinesis, stream, "a", "b")
    wait_until(lambda: int(time.time() * 1000) % 100 > 0, 5, "time goes on")
    time_between = read_shard(cloud.kinesis, stream, "shardId-000000000000")[-1]["ApproximateArrivalTimestamp"]
    wait_until(lambda: time.time() > time_between.timestamp() + 0.02, 5, "time goes on")
    put(cloud.kinesis, stream, "c")
    number = second["SequenceNumber"]

    def read(**start: Any) -> list[str]:
        return texts(read_shard(cloud.kinesis, stream, "shardId-000000000000", **start))

    assert read(ShardIteratorType="TRIM_HORIZON") == ["a", "b", "c"]
    assert read(ShardIteratorType="LATEST") == []
    assert read(ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=number) == ["b", "c"]
    assert read(ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=number) == ["c"]
    assert read(ShardIteratorType="AT_TIMESTAMP", Timestamp=time_between.timestamp() + 0.01) == ["c"]
    assert first["SequenceNumber"] < number


def test_latest_reads_what_comes_after_it_was_made(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    put(cloud.kinesis, stream, "old")
    start = {"StreamName": stream, "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"}
    iterator = cloud.kinesis.get_shard_iterator(**start)["ShardIterator"]
    put(cloud.kinesis, stream, "new")
    assert texts(cloud.kinesis.get_records(ShardIterator=iterator)["Records"]) == ["new"]


def test_an_iterator_may_be_used_twice_and_limit_holds(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    put(cloud.kinesis, stream, *"abcde")
    start = {"StreamName": stream, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    iterator = cloud.kinesis.get_shard_iterator(**start)["ShardIterator"]
    for _ in range(2):
        answer = cloud.kinesis.get_records(ShardIterator=iterator, Limit=2)
        assert texts(answer["Records"]) == ["a", "b"]
    assert texts(cloud.kinesis.get_records(ShardIterator=answer["NextShardIterator"])["Records"]) == ["c", "d", "e"]


def test_millis_behind_latest_is_zero_at_the_tip_only(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    put(cloud.kinesis, stream, "a", "b")
    start = {"StreamName": stream, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    iterator = cloud.kinesis.get_shard_iterator(**start)["ShardIterator"]
    wait_until(
        lambda: cloud.kinesis.get_records(ShardIterator=iterator, Limit=1)["MillisBehindLatest"] > 0, 5, "behind"
    )
    assert cloud.kinesis.get_records(ShardIterator=iterator)["MillisBehindLatest"] == 0


def test_an_iterator_is_a_position_and_not_an_object(cloud: Cloud) -> None:
    name, _ = code(lambda: cloud.kinesis.get_records(ShardIterator="AAAAAAAAAAE" + "A" * 100))
    assert name == "InvalidArgumentException"


def test_a_sequence_number_of_another_stream_is_refused(cloud: Cloud) -> None:
    one, other = unique_stream(1, cloud.kinesis), unique_stream(1, cloud.kinesis, Tags={"a": "b"})
    wait_until(lambda: bool(put(cloud.kinesis, one, "a")), 5, "a record")
    (answer,) = put(cloud.kinesis, other, "a")
    summary = [
        cloud.kinesis.describe_stream_summary(StreamName=s)["StreamDescriptionSummary"]["StreamCreationTimestamp"]
        for s in (one, other)
    ]
    number = answer["SequenceNumber"] if summary[0] != summary[1] else "1" + answer["SequenceNumber"][1:]
    name, text = code(
        lambda: cloud.kinesis.get_shard_iterator(
            StreamName=one,
            ShardId="shardId-000000000000",
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            StartingSequenceNumber=number,
        )
    )
    assert name == "InvalidArgumentException"
    assert "is invalid" in text


def test_a_sequence_number_of_another_shard_is_refused(cloud: Cloud) -> None:
    stream = unique_stream(2, cloud.kinesis)
    answer = cloud.kinesis.put_record(StreamName=stream, Data=b"", PartitionKey="a", ExplicitHashKey="0")
    name, text = code(
        lambda: cloud.kinesis.get_shard_iterator(
            StreamName=stream,
            ShardId="shardId-000000000001",
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            StartingSequenceNumber=answer["SequenceNumber"],
        )
    )
    assert name == "InvalidArgumentException"
    assert "It encodes shardId-000000000000, while it was used in a call to a shard with shardId-000000000001" in text


def test_a_time_in_the_future_is_refused(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    start = {"StreamName": stream, "ShardId": "shardId-000000000000", "ShardIteratorType": "AT_TIMESTAMP"}
    name, _ = code(lambda: cloud.kinesis.get_shard_iterator(**start, Timestamp=time.time() + 1000))
    assert name == "InvalidArgumentException"


def test_a_start_that_contradicts_itself_is_refused(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    (answer,) = put(cloud.kinesis, stream, "a")
    for start in (
        {"ShardIteratorType": "TRIM_HORIZON", "StartingSequenceNumber": answer["SequenceNumber"]},
        {"ShardIteratorType": "AT_SEQUENCE_NUMBER"},
        {"ShardIteratorType": "AT_TIMESTAMP"},
    ):
        name, _ = code(
            lambda start=start: cloud.kinesis.get_shard_iterator(
                StreamName=stream, ShardId="shardId-000000000000", **start
            )
        )
        assert name == "InvalidArgumentException", start


def test_a_split_parent_keeps_its_records(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    put(cloud.kinesis, stream, *"abc")
    cloud.kinesis.split_shard(StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=HALF)
    wait_active(cloud.kinesis, stream)
    put(cloud.kinesis, stream, *"abc")
    found = read_lineage(cloud.kinesis, stream)
    assert texts(found["shardId-000000000000"]) == ["a", "b", "c"]
    assert sorted(texts(found["shardId-000000000001"] + found["shardId-000000000002"])) == ["a", "b", "c"]


def test_a_closed_shard_ends_with_its_children(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    put(cloud.kinesis, stream, "a")
    start = {"StreamName": stream, "ShardId": "shardId-000000000000"}
    iterator = cloud.kinesis.get_shard_iterator(**start, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    cloud.kinesis.split_shard(StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=HALF)
    wait_active(cloud.kinesis, stream)
    answer = cloud.kinesis.get_records(ShardIterator=iterator)
    assert texts(answer["Records"]) == ["a"]
    assert answer.get("NextShardIterator") is None
    assert answer["ChildShards"] == [
        {
            "ShardId": "shardId-000000000001",
            "ParentShards": ["shardId-000000000000"],
            "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": str(2**127 - 1)},
        },
        {
            "ShardId": "shardId-000000000002",
            "ParentShards": ["shardId-000000000000"],
            "HashKeyRange": {"StartingHashKey": HALF, "EndingHashKey": str(2**128 - 1)},
        },
    ]


def test_a_merge_keeps_the_records_of_both_parents(cloud: Cloud) -> None:
    stream = unique_stream(2, cloud.kinesis)
    put(cloud.kinesis, stream, *"abcd")
    cloud.kinesis.merge_shards(
        StreamName=stream, ShardToMerge="shardId-000000000000", AdjacentShardToMerge="shardId-000000000001"
    )
    wait_active(cloud.kinesis, stream)
    put(cloud.kinesis, stream, "e")
    found = read_lineage(cloud.kinesis, stream)
    assert {shard: texts(records) for shard, records in found.items()} == {
        "shardId-000000000000": ["a", "c"],
        "shardId-000000000001": ["b", "d"],
        "shardId-000000000002": ["e"],
    }


def test_update_shard_count_keeps_all_records(cloud: Cloud) -> None:
    stream = unique_stream(2, cloud.kinesis)
    put(cloud.kinesis, stream, *"abcd")
    answer = cloud.kinesis.update_shard_count(StreamName=stream, TargetShardCount=3, ScalingType="UNIFORM_SCALING")
    assert (answer["CurrentShardCount"], answer["TargetShardCount"]) == (2, 3)
    wait_active(cloud.kinesis, stream)
    shards = cloud.kinesis.list_shards(StreamName=stream, ShardFilter={"Type": "AT_LATEST"})["Shards"]
    ranges = sorted(tuple(map(int, shard["HashKeyRange"].values())) for shard in shards)
    third = 2**128 // 3
    assert sorted(tuple(sorted(pair)) for pair in ranges) == [
        (0, third - 1),
        (third, 2 * third - 1),
        (2 * third, 2**128 - 1),
    ]
    assert sorted(text for records in read_lineage(cloud.kinesis, stream).values() for text in texts(records)) == [
        *"abcd"
    ]


def test_a_closed_shard_has_an_ending_sequence_number(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    (last,) = put(cloud.kinesis, stream, "a")
    cloud.kinesis.split_shard(StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=HALF)
    wait_active(cloud.kinesis, stream)
    parent, *children = cloud.kinesis.list_shards(StreamName=stream)["Shards"]
    ending = int(parent["SequenceNumberRange"]["EndingSequenceNumber"])
    assert ending >= int(last["SequenceNumber"])
    for child in children:
        assert child["ParentShardId"] == "shardId-000000000000"
        assert int(child["SequenceNumberRange"]["StartingSequenceNumber"]) > ending
        assert "EndingSequenceNumber" not in child["SequenceNumberRange"]


def test_shard_filters(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    cloud.kinesis.split_shard(StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=HALF)
    wait_active(cloud.kinesis, stream)

    def listed(**wanted: Any) -> list[int]:
        shards = cloud.kinesis.list_shards(StreamName=stream, ShardFilter=wanted)["Shards"]
        return [int(shard["ShardId"][-3:]) for shard in shards]

    assert listed(Type="AT_LATEST") == [1, 2]
    assert listed(Type="AT_TRIM_HORIZON") == [0]
    assert listed(Type="FROM_TRIM_HORIZON") == [0, 1, 2]
    assert listed(Type="AFTER_SHARD_ID", ShardId="shardId-000000000001") == [2]
    assert listed(Type="AT_TIMESTAMP", Timestamp=time.time() + 60) == [1, 2]
    assert listed(Type="FROM_TIMESTAMP", Timestamp=time.time() - 3600) == [0, 1, 2]


def test_shards_come_in_pages(cloud: Cloud) -> None:
    stream = unique_stream(5, cloud.kinesis)
    found, token = [], None
    while True:
        page = cloud.kinesis.list_shards(**({"NextToken": token} if token else {"StreamName": stream}), MaxResults=2)
        found.append([shard["ShardId"] for shard in page["Shards"]])
        token = page.get("NextToken")
        if token is None:
            break
    assert [len(page) for page in found] == [2, 2, 1]
    assert len({shard for page in found for shard in page}) == 5
    described = cloud.kinesis.describe_stream(StreamName=stream, Limit=3)["StreamDescription"]
    assert (len(described["Shards"]), described["HasMoreShards"]) == (3, True)


def test_closed_shards_cannot_be_split_again(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)

    def split() -> None:
        cloud.kinesis.split_shard(StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=HALF)

    split()
    wait_active(cloud.kinesis, stream)
    name, text = code(split)
    assert name == "InvalidArgumentException"
    assert "has already been merged or split" in text


def test_shards_that_are_no_neighbours_are_not_merged(cloud: Cloud) -> None:
    stream = unique_stream(3, cloud.kinesis)
    name, text = code(
        lambda: cloud.kinesis.merge_shards(
            StreamName=stream, ShardToMerge="shardId-000000000000", AdjacentShardToMerge="shardId-000000000002"
        )
    )
    assert name == "InvalidArgumentException"
    assert "not an adjacent pair of shards eligible for merging" in text


def test_a_shard_is_not_split_at_its_edge(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    name, _ = code(
        lambda: cloud.kinesis.split_shard(
            StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey="0"
        )
    )
    assert name == "InvalidArgumentException"


def test_a_stream_is_created_once(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    name, _ = code(lambda: cloud.kinesis.create_stream(StreamName=stream, ShardCount=1))
    assert name == "ResourceInUseException"


def test_a_put_to_a_missing_stream_is_named_as_by_aws(cloud: Cloud) -> None:
    name, text = code(lambda: cloud.kinesis.put_record(StreamName="none", Data=b"", PartitionKey="a"))
    assert (name, text) == ("ResourceNotFoundException", "Stream none under account 000000000000 not found.")


def test_streams_are_deleted_with_a_state_in_between(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    cloud.kinesis.delete_stream(StreamName=stream)
    summary = cloud.kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    assert summary["StreamStatus"] == "DELETING"
    wait_gone(cloud.kinesis, stream)


def test_a_recreated_stream_is_empty_and_refuses_old_positions(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    put(cloud.kinesis, stream, "old")
    start = {"StreamName": stream, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    iterator = cloud.kinesis.get_shard_iterator(**start)["ShardIterator"]
    cloud.kinesis.delete_stream(StreamName=stream)
    wait_gone(cloud.kinesis, stream)
    unique_stream(1, cloud.kinesis, stream)
    put(cloud.kinesis, stream, "new")
    assert texts(read_shard(cloud.kinesis, stream, "shardId-000000000000")) == ["new"]
    name, _ = code(lambda: cloud.kinesis.get_records(ShardIterator=iterator))
    assert name in ("ResourceNotFoundException", "ExpiredIteratorException")


def test_streams_are_listed_by_name_in_pages(cloud: Cloud) -> None:
    prefix = f"s-{unique_user_id()}"
    for end in "abc":
        unique_stream(1, cloud.kinesis, f"{prefix}{end}")
    first = cloud.kinesis.list_streams(ExclusiveStartStreamName=prefix, Limit=2)
    assert first["StreamNames"] == [f"{prefix}a", f"{prefix}b"]
    last = cloud.kinesis.list_streams(ExclusiveStartStreamName=f"{prefix}b", Limit=1)
    assert last["StreamNames"] == [f"{prefix}c"]


def test_a_stream_is_found_by_its_arn(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    arn = cloud.kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
    assert arn == f"arn:aws:kinesis:us-east-1:000000000000:stream/{stream}"
    cloud.kinesis.put_record(StreamARN=arn, Data=b"a", PartitionKey="a")
    assert cloud.kinesis.list_shards(StreamARN=arn)["Shards"]


def test_stream_and_arn_have_to_agree(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    arn = "arn:aws:kinesis:us-east-1:000000000000:stream/other"
    name, _ = code(lambda: cloud.kinesis.put_record(StreamName=stream, StreamARN=arn, Data=b"a", PartitionKey="a"))
    assert name == "InvalidArgumentException"


def test_retention_goes_up_and_down(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    cloud.kinesis.increase_stream_retention_period(StreamName=stream, RetentionPeriodHours=48)
    wait_active(cloud.kinesis, stream)
    summary = cloud.kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    assert summary["RetentionPeriodHours"] == 48
    cloud.kinesis.decrease_stream_retention_period(StreamName=stream, RetentionPeriodHours=24)
    wait_active(cloud.kinesis, stream)


def test_retention_has_the_limits_of_aws(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    for hours, change in ((8761, "increase"), (23, "decrease"), (25, "decrease")):
        call = getattr(cloud.kinesis, f"{change}_stream_retention_period")
        name, text = code(lambda call=call, hours=hours: call(StreamName=stream, RetentionPeriodHours=hours))
        assert name == "InvalidArgumentException", hours
        assert "retention period" in text


def test_tags_are_set_listed_and_removed(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    cloud.kinesis.add_tags_to_stream(StreamName=stream, Tags={"team": "a", "stage": "dev"})
    tags = cloud.kinesis.list_tags_for_stream(StreamName=stream)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "a", "stage": "dev"}
    cloud.kinesis.remove_tags_from_stream(StreamName=stream, TagKeys=["team"])
    tags = cloud.kinesis.list_tags_for_stream(StreamName=stream)["Tags"]
    assert [tag["Key"] for tag in tags] == ["stage"]


def test_the_mode_can_be_changed(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    arn = f"arn:aws:kinesis:us-east-1:000000000000:stream/{stream}"
    cloud.kinesis.update_stream_mode(StreamARN=arn, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    wait_active(cloud.kinesis, stream)
    summary = cloud.kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    assert summary["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}


def test_limits_are_described(cloud: Cloud) -> None:
    before = cloud.kinesis.describe_limits()["OpenShardCount"]
    unique_stream(3, cloud.kinesis)
    limits = cloud.kinesis.describe_limits()
    assert limits["OpenShardCount"] == before + 3
    assert limits["ShardLimit"] == 500


def test_a_dry_run_writes_nothing(cloud: Cloud) -> None:
    stream = unique_stream(1, cloud.kinesis)
    name, _ = code(lambda: cloud.kinesis.put_record(StreamName=stream, Data=b"a", PartitionKey="a", DryRun=True))
    assert name == "DryRunOperationException"
    assert read_shard(cloud.kinesis, stream, "shardId-000000000000") == []
