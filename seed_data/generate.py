"""The generated database: `rows(events, seed)` yields it in chunks, the same rows for the same two numbers.

Shares, forms and skew are those measured in the course's data; what they are stands beside each draw. Which errors
occur together is part of it: pins without an image are story-format videos, and some of those lost their user as well.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pinline.events import EventName
from seed_data import draws, texts
from seed_data.categories import CATEGORIES, NAMES, REFERENCE_EVENTS, starts
from seed_data.draws import Ints, Keys
from seed_data.posters import FREQUENT, NOBODY, Posters

DEFAULT_EVENTS = REFERENCE_EVENTS
DEFAULT_SEED = 2
CHUNK_EVENTS = 10_000

IMAGE, VIDEO, STORY = "image", "video", "multi-video(story page format)"
NO_STORY_DESCRIPTION = "No description available Story format"
NO_DESCRIPTION = "No description available"
UNTITLED = "Untitled"
NO_USER = "User Info Error"
NO_IMAGE = "Image src error."
NO_TAGS = "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"
NO_TITLE = "No Title Data Available"

FIRST_EMULATED = 7528
"""The first row that the course's emulator sends: it has every marker at once, and here too."""

_STORY_OF_VIDEOS = 0.68
_LOST_IMAGE_OF_STORIES = 0.31
_LOST_USER_OF_LOST_IMAGES = 0.41
_POSTED_FIRST = np.datetime64("2017-10-20T06:00:00", "s")
_POSTED_END = np.datetime64("2022-10-19T00:00:00", "s")

Row = tuple[Any, ...]
"""Values in the order of the event's columns: int, float, str, naive datetime (UTC) or None."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of the three tables: the n-th of each belong to one event."""

    pin: list[Row]
    geo: list[Row]
    user: list[Row]

    def rows(self, event: EventName) -> list[Row]:
        """Return one event's rows."""
        return {"pin": self.pin, "geo": self.geo, "user": self.user}[event]


def rows(events: int = DEFAULT_EVENTS, seed: int = DEFAULT_SEED, chunk: int = CHUNK_EVENTS) -> Iterator[Chunk]:
    """Yield the whole database, keys 0..events-1 in order. `chunk` (events) changes memory, not content."""
    posters = Posters(events, seed)
    for first in range(0, events, chunk):
        yield _chunk(posters, events, seed, np.arange(first, min(first + chunk, events), dtype=np.int64))


def fingerprint(events: int, seed: int) -> str:
    """Return what names this content: both numbers and a digest of its first rows, which a new generator changes."""
    posters = Posters(events, seed)
    sample = _chunk(posters, events, seed, np.arange(min(events, 256), dtype=np.int64))
    digest = hashlib.sha256(repr((sample.pin, sample.geo, sample.user)).encode()).hexdigest()
    return f"generated seed={seed} events={events} {digest[:16]}"


@dataclass(frozen=True)
class _Media:
    """What kind of post each row is, and which of its parts were lost."""

    image: list[bool]
    story: list[bool]
    no_image: list[bool]
    no_user: list[bool]


def _media(of: Keys, numbers: Ints, categories: Ints) -> _Media:
    not_image = np.array([category.not_image for category in CATEGORIES])[categories]
    image = draws.uniform(of, "image") >= not_image
    story = ~image & (draws.uniform(of, "story") < _STORY_OF_VIDEOS)
    no_image = story & (draws.uniform(of, "no image") < _LOST_IMAGE_OF_STORIES)
    no_user = no_image & (draws.uniform(of, "no user") < _LOST_USER_OF_LOST_IMAGES)
    first = numbers == FIRST_EMULATED
    return _Media(
        (image & ~first).tolist(), (story | first).tolist(), (no_image | first).tolist(), (no_user | first).tolist()
    )


def _content_keys(of: Keys, posters: Ints, keys: Keys) -> tuple[Keys, Keys]:
    """Keys of each row's text and of its picture: frequent posters repeat some of their pins."""
    series = draws.below(of, "series", 2).astype(np.uint64)
    repeats = (posters >= 0) & (posters < FREQUENT) & (draws.uniform(of, "repeats") < 0.36)
    text = np.where(repeats, draws.mix(keys + series), of)
    picture = np.where(repeats & (draws.uniform(of, "same picture") < 0.25), text, of)
    return text, picture


def _chunk(posters: Posters, events: int, seed: int, numbers: Ints) -> Chunk:
    of = draws.keys(seed, "row", numbers)
    categories = np.searchsorted(starts(events), numbers, side="right").astype(np.int64) - 1
    media = _media(of, numbers, categories)
    poster = np.where(np.array(media.no_user), NOBODY, posters.of_rows(of, categories))
    return Chunk(
        _pins(posters, of, numbers, categories, poster, media),
        _geos(posters, of, numbers, poster),
        list(zip(numbers.tolist(), *posters.persons(poster), strict=True)),
    )


def _pins(posters: Posters, of: Keys, numbers: Ints, categories: Ints, poster: Ints, media: _Media) -> list[Row]:
    text, picture = _content_keys(of, poster, posters.keys(poster))
    no_tags = (draws.uniform(of, "no tags") < 0.0034).tolist()
    plain = draws.uniform(of, "no description")
    # 21 of 1,345 images and 2 of 45 videos have no description; one is called Untitled
    no_description = (plain < np.where(media.image, 0.0156, 0.0444)).tolist()
    untitled = ((plain >= 0.05) & (plain < 0.0507)).tolist()
    columns = zip(
        numbers.tolist(), texts.unique_ids(of), texts.titles(text, categories), texts.descriptions(text, categories),
        posters.names(poster), posters.follower_counts(poster, of), texts.tag_lists(text, categories),
        texts.image_addresses(picture, media.image), categories.tolist(),
        media.image, media.story, media.no_image, media.no_user, no_tags, no_description, untitled,
        strict=True,
    )  # fmt: skip
    made = []
    for (
        number, unique_id, title, description, name, followers, tags, address, category,
        image, story, no_image, no_user, tags_lost, description_lost, is_untitled,
    ) in columns:  # fmt: skip
        text_shown = description
        if story:
            text_shown = NO_STORY_DESCRIPTION
        elif description_lost:
            text_shown = NO_DESCRIPTION
        elif is_untitled:
            text_shown = UNTITLED
        made.append((
            number,
            unique_id,
            NO_TITLE if no_user else title,
            text_shown,
            NO_USER if no_user else name,
            NO_USER if no_user else followers,
            NO_TAGS if no_user or tags_lost else tags,
            IMAGE if image else STORY if story else VIDEO,
            NO_IMAGE if no_image else address,
            0 if no_image else 1,
            f"Local save in /data/{NAMES[category]}",
            NAMES[category],
        ))  # fmt: skip
    return made


def _geos(posters: Posters, of: Keys, numbers: Ints, poster: Ints) -> list[Row]:
    seconds = int((_POSTED_END - _POSTED_FIRST).astype(np.int64))
    posted = (_POSTED_FIRST + draws.below(of, "posted", seconds).astype("timedelta64[s]")).tolist()
    return list(zip(numbers.tolist(), posted, *posters.places(poster), strict=True))
