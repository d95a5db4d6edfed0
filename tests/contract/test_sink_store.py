"""What the sink relies on in a real S3: conditional PUT, metadata, the order of listings."""

import threading

import pytest

from pinline.aws import s3_client
from pinline.errors import StateError
from pinline.objects import ObjectRange, object_key
from sink.partition import Rules, State
from sink.rotation import Limits
from sink.store import ObjectExistsError, S3Store, StoreError, last_object, probe
from tests.fixtures.backends import MakeSettings, free_port
from tests.unit.sink_model import ID, TOPIC, Owner, World, posts

pytestmark = pytest.mark.contract


@pytest.fixture
def store(make_settings: MakeSettings, s3_endpoint: str) -> S3Store:
    settings = make_settings(aws_endpoint_url_s3=s3_endpoint)
    client = s3_client(settings, attempts=1)
    client.create_bucket(Bucket=settings.bucket)
    return S3Store(client, settings.bucket)


def test_of_many_puts_of_one_key_exactly_one_succeeds(store: S3Store) -> None:
    outcomes: list[str] = []

    def put(n: int) -> None:
        try:
            store.put_new("a", str(n).encode(), {"first-offset": str(n)})
            outcomes.append("stored")
        except ObjectExistsError:
            outcomes.append("exists")

    threads = [threading.Thread(target=put, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["exists"] * 7 + ["stored"]


def test_the_probe_passes_and_leaves_nothing(store: S3Store) -> None:
    probe(store)
    assert store.list_after("_pinline/", "") == ([], False)


def test_metadata_comes_back_and_a_missing_object_has_none(store: S3Store) -> None:
    covers = ObjectRange("id", 3, 9, 5)
    store.put_new("k", b"", covers.to_metadata())
    assert ObjectRange.from_metadata(store.head("k") or {}) == covers
    assert store.head("missing") is None


def test_a_missing_bucket_is_an_error_that_names_the_command(make_settings: MakeSettings, s3_endpoint: str) -> None:
    settings = make_settings(aws_endpoint_url_s3=s3_endpoint)
    with pytest.raises(StateError, match="make up"):
        S3Store(s3_client(settings), settings.bucket).check(s3_endpoint)


def test_a_store_that_does_not_answer_is_a_failure_that_may_pass(make_settings: MakeSettings) -> None:
    settings = make_settings(aws_endpoint_url_s3=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StoreError):
        S3Store(s3_client(settings, attempts=1), settings.bucket).head("k")


def test_the_last_of_more_objects_than_a_page_is_found(store: S3Store) -> None:
    for offset in range(0, 2500, 2):
        store.put_new(object_key(TOPIC, 0, offset), b"", ObjectRange(ID, offset, offset + 1, 2).to_metadata())
    store.put_new(object_key(TOPIC, 1, 9_000_000), b"", {})
    found = last_object(store, "topics", TOPIC, 0)
    assert found
    assert found.key == object_key(TOPIC, 0, 2498)
    assert found.range == ObjectRange(ID, 2498, 2499, 2)


def test_two_owners_on_a_real_store_write_every_offset_once(store: S3Store) -> None:
    world = World(posts(200))
    world.around = type(world.around)(store, world.letters, lambda _t, _p: 0, "topics")
    owners = [Owner(world, rules=Rules(Limits(n, 1 << 20, wall_clock_s=1))) for n in (7, 11)]
    threads = [threading.Thread(target=owner.settle) for owner in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(owner.writer.state is not State.STOPPED for owner in owners)
    keys, _ = store.list_after("topics/", "")
    ranges = [ObjectRange.from_metadata(store.head(key) or {}) for key in keys]
    covered = [n for r in ranges if r for n in range(r.first_offset, r.last_offset + 1)]
    assert covered == list(range(200))
