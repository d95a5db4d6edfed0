"""Who posts: a few people post very often, most once or twice, and each is one person at one place.

The course's persons and places look as if drawn for each row and then reduced to the minimum per poster, column by
column: who posts often is 20 years old, lives in a country with A near latitude -90 and joined in October 2015. Here
each attribute is drawn as that minimum directly (`draws.lowest`), so it needs no pass over all rows.
"""

from dataclasses import dataclass

import numpy as np
from faker.providers.address.en import Provider as Addresses
from faker.providers.person.en_US import Provider as Persons

from seed_data import draws, words
from seed_data.categories import CATEGORIES, REFERENCE_EVENTS, starts
from seed_data.draws import Floats, Ints, Keys

COUNTRIES = tuple(sorted(set(Addresses.countries)))
FIRST_NAMES = tuple(sorted(Persons.first_names))
LAST_NAMES = tuple(sorted(Persons.last_names))

FREQUENT = 110
"""How many people post often, in a database of any size; the r-th of them writes 0.022 / r^0.6 of all rows."""
NOBODY = -1
"""The poster of pins whose user could not be read: all of them share one person and one place."""

_OCCASIONAL_POSTERS = 0.80
"""Posters to draw from among those who post now and then, per row of theirs and of the frequent ones."""
_ELSEWHERE = 0.12
"""Share of rows whose poster is at home in another category."""
_MINIMUM_OF = np.array([1.0, 2.0, 3.0, 4.0])
_MINIMUM_SHARES = (0.37, 0.33, 0.19, 0.11)
_FOLLOWER_POWERS = np.array([0.55, 1.15, 2.0, 3.0])
"""An occasional poster's rank by followers is uniform^(1/power), by how many draws the poster is the minimum of."""
_FREQUENT_POWER = 5.0

JOINED_FIRST = np.datetime64("2015-10-21T00:00:00", "s")
JOINED_END = np.datetime64("2017-10-20T06:00:00", "s")
_NOBODY_JOINED = np.datetime64("2015-10-24T11:23:51", "s")
_NOBODY_PLACE = ("Albania", -89.9787, -173.293)
_NOBODY_PERSON = ("Abigail", "Ali", 20)

_FOLLOWER_QUANTILES = np.array([0.005, 0.05, 0.15, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 1.0])
_FOLLOWER_LOGS = np.array([-4.0, -2.75, -1.40, -0.70, 0.0, 0.80, 1.26, 1.56, 2.00, 2.50])
"""log10 of followers against the category's median."""
_MILLIONS = np.array([1, 2, 3, 4, 5, 6, 8, 15])


@dataclass(frozen=True)
class _Frequent:
    """The people who post often: their category and their part of its rows by frequent posters."""

    category: Ints
    share: Floats
    """Of all rows."""


@dataclass(frozen=True)
class _Ranking:
    """The frequent posters of one category by followers, which fixes the category's distribution over its rows.

    The one who posts most has the category's median: one person with a quarter of the rows would move it otherwise.
    """

    heaviest: int
    weight: float
    """The heaviest's part of the category's rows."""
    scores: Floats
    """Of the others, rising."""
    below: Floats
    """Part of the category's rows by those before each of the others; one longer than `scores`."""

    def quantiles(self, occasional: Floats, scores: Floats, posters: Ints) -> Floats:
        """Return how many of the rows have fewer followers; `occasional` is the part that occasional posters make."""
        left = np.searchsorted(self.scores, scores, side="left")
        right = np.searchsorted(self.scores, scores, side="right")
        part = occasional + (self.below[left] + self.below[right]) / 2
        part = np.where(part > 0.5 - self.weight / 2, part + self.weight, part)
        return np.where(posters == self.heaviest, 0.5, part)


def _frequent() -> _Frequent:
    share: Floats = 0.022 * np.arange(1, FREQUENT + 1, dtype=np.float64) ** -0.6
    blocks = np.diff(starts(REFERENCE_EVENTS)) / REFERENCE_EVENTS
    room = np.array([category.frequent for category in CATEGORIES]) * blocks
    category = np.zeros(FREQUENT, dtype=np.int64)
    for rank in range(FREQUENT):
        category[rank] = room.argmax()
        room[category[rank]] -= share[rank]
    return _Frequent(category, share)


class Posters:
    """The posters of a database of `events` rows under a seed. Numbers below FREQUENT are the frequent ones."""

    def __init__(self, events: int, seed: int) -> None:
        """Lay out who posts in which category."""
        self._seed = seed
        self._frequent = _frequent()
        blocks = np.diff(starts(events))
        pools = np.maximum((blocks * _OCCASIONAL_POSTERS).astype(np.int64), 1)
        self._pools = pools
        self._pool_starts = FREQUENT + np.concatenate([[0], np.cumsum(pools)[:-1]])
        reference = np.diff(starts(REFERENCE_EVENTS)) / REFERENCE_EVENTS
        self._often = np.array(
            [self._frequent.share[self._frequent.category == c].sum() / reference[c] for c in range(len(CATEGORIES))]
        )
        scores = draws.uniform(self.keys(np.arange(FREQUENT)), "followers") ** (1 / _FREQUENT_POWER)
        self._rankings = [self._ranking(c, scores, reference[c]) for c in range(len(CATEGORIES))]

    def _ranking(self, category: int, scores: Floats, block: float) -> "_Ranking":
        heaviest, *others = np.flatnonzero(self._frequent.category == category).tolist()
        order = np.array(others)[np.argsort(scores[others], kind="stable")]
        parts = self._frequent.share[order] / block
        below = np.concatenate([[0.0], np.cumsum(parts)])
        return _Ranking(heaviest, self._frequent.share[heaviest] / block, scores[order], below)

    def keys(self, posters: Ints) -> Keys:
        """Return the keys of posters, by number."""
        return draws.keys(self._seed, "poster", posters)

    def of_rows(self, rows: Keys, categories: Ints) -> Ints:
        """Return the poster of each row."""
        elsewhere = draws.uniform(rows, "poster elsewhere") < _ELSEWHERE
        categories = np.where(elsewhere, draws.below(rows, "poster category", len(CATEGORIES)), categories)
        often = draws.uniform(rows, "posts often") < self._often[categories]
        posters = self._pool_starts[categories] + draws.below(rows, "occasional poster", self._pools[categories])
        pick = draws.uniform(rows, "frequent poster")
        for category in range(len(CATEGORIES)):
            members = np.flatnonzero(self._frequent.category == category)
            edges = np.cumsum(self._frequent.share[members])
            chosen = np.flatnonzero(often & (categories == category))
            posters[chosen] = members[np.searchsorted(edges[:-1] / edges[-1], pick[chosen], side="right")]
        return posters

    def home(self, posters: Ints) -> Ints:
        """Return the category where each poster is at home."""
        occasional = np.searchsorted(self._pool_starts, posters, side="right") - 1
        return np.where(posters < FREQUENT, self._frequent.category[np.clip(posters, 0, FREQUENT - 1)], occasional)

    def _times(self, posters: Ints, keys: Keys) -> Floats:
        """Of how many draws each poster's attributes are the minimum."""
        occasional = _MINIMUM_OF[draws.choice(keys, "minimum of", _MINIMUM_SHARES)]
        frequent = self._frequent.share[np.clip(posters, 0, FREQUENT - 1)] * REFERENCE_EVENTS
        return np.where(posters < FREQUENT, frequent, occasional)

    def persons(self, posters: Ints) -> tuple[list[str], list[str], list[int], list[object]]:
        """Return first name, last name, age and date of joining (datetime) of each poster."""
        keys = self.keys(posters)
        times = self._times(posters, keys)
        # which first and last names belong together says nothing about how often somebody posts beyond "early in A"
        firsts = _pick(FIRST_NAMES, draws.lowest(keys, "first name", times))
        lasts = _pick(LAST_NAMES, draws.lowest(keys, "last name", times))
        ages = 20 + (draws.lowest(keys, "age", times) * 41).astype(np.int64)
        seconds = int((JOINED_END - JOINED_FIRST).astype(np.int64))
        joined = JOINED_FIRST + (draws.lowest(keys, "joined", times) * seconds).astype("timedelta64[s]")
        nobody = posters == NOBODY
        joined[nobody] = _NOBODY_JOINED
        ages[nobody] = _NOBODY_PERSON[2]
        for row in np.flatnonzero(nobody).tolist():
            firsts[row], lasts[row] = _NOBODY_PERSON[:2]
        return firsts, lasts, ages.tolist(), joined.tolist()

    def places(self, posters: Ints) -> tuple[list[float], list[float], list[str]]:
        """Return latitude, longitude and country of each poster; coordinates have six significant digits (FLOAT)."""
        keys = self.keys(posters)
        times = self._times(posters, keys)
        countries = _pick(COUNTRIES, draws.lowest(keys, "country", times))
        latitudes = draws.lowest(keys, "latitude", times) * 180 - 90
        longitudes = draws.lowest(keys, "longitude", times) * 360 - 180
        nobody = posters == NOBODY
        latitudes[nobody], longitudes[nobody] = _NOBODY_PLACE[1:]
        for row in np.flatnonzero(nobody).tolist():
            countries[row] = _NOBODY_PLACE[0]
        return _six_digits(latitudes), _six_digits(longitudes), countries

    def follower_counts(self, posters: Ints, rows: Keys) -> list[str]:
        """Return each poster's followers as the source writes them: `437`, `28k`, `2M`.

        Everybody has one number, but for one poster in 25, who has two.
        """
        keys = self.keys(posters)
        home = self.home(posters)
        kind = draws.choice(keys, "minimum of", _MINIMUM_SHARES)
        frequent = posters < FREQUENT
        power = np.where(frequent, _FREQUENT_POWER, _FOLLOWER_POWERS[kind])
        score = draws.uniform(keys, "followers") ** (1 / power)
        below = np.zeros(len(posters))
        for share, exponent in zip(_MINIMUM_SHARES, _FOLLOWER_POWERS, strict=True):
            below += share * score**exponent
        quantile = below * (1 - self._often[home])
        for category, ranking in enumerate(self._rankings):
            here = np.flatnonzero(home == category)
            quantile[here] = ranking.quantiles(quantile[here], score[here], posters[here])
        changed = (draws.uniform(keys, "followers change") < 0.04) & (draws.uniform(rows, "followers later") < 0.3)
        quantile = np.where(changed, quantile + (1 - quantile) * 0.1, quantile)
        medians = np.array([category.median_followers for category in CATEGORIES])[home]
        counts = medians * 10 ** np.interp(quantile, _FOLLOWER_QUANTILES, _FOLLOWER_LOGS)
        return _as_written(np.where(quantile < _FOLLOWER_QUANTILES[0], 0.0, counts))

    def names(self, posters: Ints) -> list[str]:
        """Return the name each poster shows. No two posters share one."""
        keys = self.keys(posters)
        form = draws.choice(keys, "name form", (0.49, 0.20, 0.13, 0.15, 0.03)).tolist()
        trailing = (draws.uniform(keys, "trailing space") < 0.02).tolist()
        slogan = draws.below(keys, "slogan", len(words.POSTER_SLOGANS)).tolist()
        return [_name(*each) for each in zip(posters.tolist(), form, slogan, trailing, strict=True)]


_NAME_COUNT = len(words.POSTER_FIRSTS) * len(words.POSTER_SECONDS) * len(LAST_NAMES)
_NAME_STEP = 1_000_003
"""A prime that divides no length above, so that neighbours get unlike names and all are used once."""


def _name(poster: int, form: int, slogan: int, trailing: bool) -> str:
    if poster == NOBODY:
        return ""
    again, place = divmod(poster, _NAME_COUNT)
    place = place * _NAME_STEP % _NAME_COUNT
    place, first = divmod(place, len(words.POSTER_FIRSTS))
    last, second = divmod(place, len(words.POSTER_SECONDS))
    one, two, three = words.POSTER_FIRSTS[first], words.POSTER_SECONDS[second], LAST_NAMES[last]
    number = f" {again + 1}" if again else ""
    tail = " " if trailing else ""
    if form == 0:
        return f"{one} {two} {three}{number}{tail}"
    if form == 1:
        return f"{one}{two}{three}{number}{tail}"
    if form == 2:
        return f"{one} {two} by {three}{number}{tail}"
    if form == 3:
        return f"{one} {two} {three}{number} | {words.POSTER_SLOGANS[slogan]}{tail}"
    return f"✨ {one} {two} {three}{number}{tail}"


def _pick(values: tuple[str, ...], part: Floats) -> list[str]:
    return [values[place] for place in (part * len(values)).astype(np.int64).tolist()]


def _six_digits(values: Floats) -> list[float]:
    return [float(f"{value:.6g}") for value in values.tolist()]


def _as_written(counts: Floats) -> list[str]:
    millions = _MILLIONS[np.clip(np.searchsorted(_MILLIONS, counts / 1e6, side="right") - 1, 0, None)].tolist()
    return [
        f"{int(count)}" if count < 1_000 else f"{int(count / 1_000)}k" if count < 1_000_000 else f"{million}M"
        for count, million in zip(counts.tolist(), millions, strict=True)
    ]
