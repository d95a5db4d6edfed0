"""Titles, descriptions, tags and image addresses. Each is made from a key alone: equal keys give equal text."""

import numpy as np

from seed_data import draws, words
from seed_data.categories import NAMES
from seed_data.draws import Ints, Keys

ELLIPSIS = "…\u00a0"
"""The end of a description that was cut; the longest have 180 characters with it."""
LONGEST_DESCRIPTION = 180
LONGEST_TITLE = 199

_TAGS = np.array(
    [f"{style} {topic}" for name in NAMES for style in words.TAG_STYLES for topic in words.TAG_TOPICS[name]],
    dtype=object,
)
_TAGS_A_CATEGORY = len(_TAGS) // len(NAMES)
_TAG_STEPS = np.array([29, 37, 53, 67, 71, 97, 101, 127, 149, 163, 191, 197])
"""None divides the number of tags of a category, so nine steps meet nine tags."""
_TAGS_A_PIN = 9

_EXTENSIONS = np.array(["jpg", "png", "webp", "gif"], dtype=object)


def titles(of: Keys, categories: Ints) -> list[str]:
    """Return a title of 1..199 characters for each key."""
    opener = draws.below(of, "opener", len(words.OPENERS)).tolist()
    subject = draws.below(of, "subject", 12).tolist()
    closer = draws.below(of, "closer", len(words.CLOSERS)).tolist()
    extra = draws.choice(of, "extra", (0.86, 0.07, 0.05, 0.02)).tolist()
    kind = draws.choice(of, "title kind", (0.897, 0.005, 0.070, 0.028)).tolist()
    other = draws.bits(of, "title other").astype(np.uint32).tolist()
    extras = ("", *words.EXTRAS)
    made = []
    for o, s, c, x, k, n, category in zip(
        opener, subject, closer, extra, kind, other, categories.tolist(), strict=True
    ):
        text = f"{words.OPENERS[o]}{words.SUBJECTS[NAMES[category]][s].title()}{words.CLOSERS[c]}{extras[x]}"
        if k == 1:
            text = words.SHORT_TITLES[n % len(words.SHORT_TITLES)]
        elif k == 2:
            text = words.DECORATIONS[n % len(words.DECORATIONS)].format(text)
        elif k == 3:
            text = words.FOREIGN_TITLES[n % len(words.FOREIGN_TITLES)]
        made.append(text[:LONGEST_TITLE].strip())
    return made


def descriptions(of: Keys, categories: Ints) -> list[str]:
    """Return a description of at most 180 characters for each key; about 40 % are cut and end in ELLIPSIS."""
    subject = draws.below(of, "description subject", 12).tolist()
    order = draws.bits(of, "sentences").tolist()
    cut = (draws.uniform(of, "cut") < 0.402).tolist()
    accent = (draws.uniform(of, "accented") < 0.105).tolist()
    count = len(words.SENTENCES)
    made = []
    for s, number, is_cut, is_accented, category in zip(subject, order, cut, accent, categories.tolist(), strict=True):
        topic = words.SUBJECTS[NAMES[category]][s]
        first, step = number % count, (1, 5, 7, 11)[number >> 8 & 3]
        chosen = [words.SENTENCES[(first + step * n) % count] for n in range(4 if is_cut else 1 + (number >> 16) % 2)]
        text = " ".join(chosen).replace("{}", topic)
        if is_accented:
            text = f"{words.ACCENTED_SENTENCES[(number >> 24) % len(words.ACCENTED_SENTENCES)]} {text}"
        if is_cut:
            text = text[: LONGEST_DESCRIPTION - len(ELLIPSIS)].rstrip() + ELLIPSIS
        made.append(text[:LONGEST_DESCRIPTION])
    return made


def tag_lists(of: Keys, categories: Ints) -> list[str]:
    """Return nine Title Case tags for each key, joined by commas (a few have less)."""
    first = draws.below(of, "first tag", _TAGS_A_CATEGORY)
    step = _TAG_STEPS[draws.below(of, "tag step", len(_TAG_STEPS))]
    places = (first[:, None] + step[:, None] * np.arange(_TAGS_A_PIN)) % _TAGS_A_CATEGORY
    lists = _TAGS[places + categories[:, None] * _TAGS_A_CATEGORY].tolist()
    lengths = np.where(draws.uniform(of, "few tags") < 0.0014, 1 + draws.below(of, "tags", 8), _TAGS_A_PIN).tolist()
    return [",".join(tags[:length]) for tags, length in zip(lists, lengths, strict=True)]


def image_addresses(of: Keys, is_image: list[bool]) -> list[str]:
    """Return the address of a pin's picture, or of its video's thumbnail; folders are the hash's first six digits."""
    halves = np.stack([draws.bits(of, "hash 1"), draws.bits(of, "hash 2")], axis=1)
    digits = halves.astype(">u8").tobytes().hex()
    extension = _EXTENSIONS[draws.choice(of, "extension", (0.842, 0.150, 0.007, 0.001))].tolist()
    rare = (draws.uniform(of, "thumbnail") < 0.05).tolist()
    made = []
    for place, (image, ending, is_rare) in enumerate(zip(is_image, extension, rare, strict=True)):
        name = digits[place * 32 : place * 32 + 32]
        folders = f"originals/{name[:2]}/{name[2:4]}/{name[4:6]}/{name}"
        if image:
            made.append(f"https://i.pinimg.com/{folders}.{ending}")
        else:
            made.append(f"https://i.pinimg.com/videos/thumbnails/{folders}{'-00001' if is_rare else '.0000001'}.jpg")
    return made


def unique_ids(of: Keys) -> list[str]:
    """Return a UUID of version 4 for each key, from 122 of its bits."""
    high, low = draws.bits(of, "uuid 1"), draws.bits(of, "uuid 2")
    high = (high & np.uint64(0xFFFFFFFFFFFF0FFF)) | np.uint64(0x4000)
    low = (low & np.uint64(0x3FFFFFFFFFFFFFFF)) | np.uint64(0x8000000000000000)
    digits = np.stack([high, low], axis=1).astype(">u8").tobytes().hex()
    return [
        f"{digits[at : at + 8]}-{digits[at + 8 : at + 12]}-{digits[at + 12 : at + 16]}-"
        f"{digits[at + 16 : at + 20]}-{digits[at + 20 : at + 32]}"
        for at in range(0, 32 * len(of), 32)
    ]
