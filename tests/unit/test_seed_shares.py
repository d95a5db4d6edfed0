"""The generated data has the proportions measured in the course's data (the figures in the assertions)."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from pinline.events import EVENTS
from seed_data import generate
from seed_data.categories import NAMES

pytestmark = pytest.mark.unit

SAMPLE = 1_485
"""Rows that the measurements were made on; figures that depend on the size of a sample are taken on as many."""


@pytest.fixture(scope="module", params=[generate.DEFAULT_SEED, 11])
def posts(request: pytest.FixtureRequest) -> pd.DataFrame:
    """The whole database, one row an event, `followers` as a number."""
    chunks = list(generate.rows(seed=request.param))
    pin, geo, user = (
        pd.DataFrame([row for chunk in chunks for row in chunk.rows(event.name)], columns=event.column_names)
        for event in EVENTS
    )
    frame = pd.concat([pin, geo.drop(columns="ind"), user.drop(columns="ind")], axis=1)
    frame["followers"] = [_number(written) for written in frame["follower_count"]]
    return frame


@pytest.fixture(scope="module")
def sample(posts: pd.DataFrame) -> pd.DataFrame:
    """As many rows as were measured."""
    return posts.sample(SAMPLE, random_state=3)


def _number(written: str) -> float:
    if written == generate.NO_USER:
        return float("nan")
    scale = {"k": 1_000, "M": 1_000_000}.get(written[-1], 1)
    return int(written.rstrip("kM")) * scale


def near(value: float, expected: float, tolerance: float) -> bool:
    """Within `tolerance` (absolute)."""
    return abs(float(value) - expected) <= tolerance


def share(values: "pd.Series[bool]") -> float:
    """Part of the rows for which it holds."""
    return float(values.mean())


def test_categories_are_contiguous_blocks_in_alphabetical_order(posts: pd.DataFrame) -> None:
    assert posts["category"].is_monotonic_increasing
    assert list(posts["category"].unique()) == list(NAMES)
    measured_middles = [445, 1264, 2139, 3051, 3897, 4703, 5470, 6293, 7154, 8033, 8971, 9888, 10735]
    middles = posts.groupby("category")["index"].median()
    assert all(near(*pair, 15) for pair in zip(middles, measured_middles, strict=True))
    assert (posts["save_location"] == "Local save in /data/" + posts["category"]).all()


def test_key_is_the_row_offset_in_all_three_tables() -> None:
    for chunk in generate.rows(25_000, chunk=10_000):
        assert [row[0] for row in chunk.pin] == [row[0] for row in chunk.geo] == [row[0] for row in chunk.user]
    assert [row[0] for chunk in generate.rows(25_000) for row in chunk.pin] == list(range(25_000))


def test_unique_ids_are_distinct_uuids_of_version_4(posts: pd.DataFrame) -> None:
    assert posts["unique_id"].is_unique
    pattern = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert posts["unique_id"].str.fullmatch(pattern).all()


@pytest.mark.parametrize(
    ("column", "marker", "percent"),
    [
        ("description", "No description available Story format", 6.4),
        ("description", "No description available", 1.5),
        ("description", "Untitled", 0.07),
        ("follower_count", "User Info Error", 0.8),
        ("poster_name", "User Info Error", 0.8),
        ("image_src", "Image src error.", 2.0),
        ("tag_list", "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e", 1.1),
        ("title", "No Title Data Available", 0.8),
    ],
)
def test_markers_stand_as_often_as_measured(posts: pd.DataFrame, column: str, marker: str, percent: float) -> None:
    found = 100 * share(posts[column] == marker)
    assert found > 0
    assert near(found, percent, 0.4 * percent**0.5)


def test_markers_stand_together_as_measured(posts: pd.DataFrame) -> None:
    story = posts["is_image_or_video"] == generate.STORY
    no_image = posts["image_src"] == generate.NO_IMAGE
    no_user = posts["poster_name"] == generate.NO_USER
    no_tags = posts["tag_list"] == generate.NO_TAGS
    assert ((posts["description"] == generate.NO_STORY_DESCRIPTION) == story).all()
    assert not (no_image & ~story).any()
    assert ((posts["downloaded"] == 0) == no_image).all()
    assert set(posts["downloaded"]) == {0, 1}
    assert not (no_user & ~no_image).any()
    assert (no_user == (posts["follower_count"] == generate.NO_USER)).all()
    assert (no_user == (posts["title"] == generate.NO_TITLE)).all()
    assert no_tags[no_user].all()
    assert near(100 * share(no_tags & ~no_user), 0.34, 0.2)
    plain = posts["description"] == generate.NO_DESCRIPTION
    assert set(posts.loc[plain, "is_image_or_video"]) == {generate.IMAGE, generate.VIDEO}
    lost = posts[no_user]
    columns = ["first_name", "last_name", "age", "date_joined", "latitude", "longitude", "country"]
    assert len(lost[columns].drop_duplicates()) == 1


def test_first_row_that_the_course_emulates_has_every_marker(posts: pd.DataFrame) -> None:
    row = posts.iloc[7528]
    assert row[["category", "poster_name", "downloaded", "country"]].tolist() == [
        "mens-fashion", "User Info Error", 0, "Albania",
    ]  # fmt: skip
    assert (row["latitude"], row["longitude"], row["age"]) == (-89.9787, -173.293, 20)
    assert str(row["date_joined"]) == "2015-10-24 11:23:51"


def test_media_mix(posts: pd.DataFrame) -> None:
    kinds = posts["is_image_or_video"].value_counts(normalize=True)
    assert near(kinds["image"], 0.906, 0.012)
    assert near(kinds["multi-video(story page format)"], 0.064, 0.010)
    assert near(kinds["video"], 0.030, 0.008)
    not_image = (posts["is_image_or_video"] != "image").groupby(posts["category"]).mean()
    for category, expected in {"diy-and-crafts": 0.32, "event-planning": 0.16, "travel": 0.125, "beauty": 0.125,
                               "education": 0.02, "tattoos": 0.02}.items():  # fmt: skip
        assert near(not_image[category], expected, 0.05), category


def test_image_addresses(posts: pd.DataFrame) -> None:
    image = posts["is_image_or_video"] == "image"
    stills = posts.loc[image, "image_src"].str.extract(
        r"^https://i\.pinimg\.com/originals/(..)/(..)/(..)/([0-9a-f]{32})\.(jpg|png|webp|gif)$"
    )
    shown = posts["image_src"] != generate.NO_IMAGE
    thumbnails = posts.loc[~image & shown, "image_src"].str.extract(
        r"^https://i\.pinimg\.com/videos/thumbnails/originals/(..)/(..)/(..)/([0-9a-f]{32})(\.0000001|-00001)\.jpg$"
    )
    for parts in (stills, thumbnails):
        assert parts.notna().all(axis=None)
        assert (parts[0] + parts[1] + parts[2] == parts[3].str[:6]).all()
    endings = stills[4].value_counts(normalize=True)
    assert near(endings["png"], 0.15, 0.02)
    assert near(endings["webp"], 0.007, 0.004)
    assert 0.85 < share(thumbnails[4] == ".0000001") < 1


def test_poster_fixes_person_and_place(posts: pd.DataFrame) -> None:
    person = ["first_name", "last_name", "age", "date_joined"]
    place = ["latitude", "longitude", "country"]
    assert (posts.groupby("poster_name")[[*person, *place]].nunique() == 1).all(axis=None)
    assert (posts.groupby(person)["poster_name"].nunique() == 1).all()
    counts = posts.groupby("poster_name")["follower_count"].nunique()
    assert 0 < share(counts > 1) < 0.01
    several = posts.groupby("poster_name")["category"].nunique() > 1
    assert several.sum() > 150


def test_few_posters_write_many_posts(posts: pd.DataFrame, sample: pd.DataFrame) -> None:
    assert near(posts["poster_name"].nunique(), 5_081, 250)
    assert near(sample["poster_name"].nunique(), 1_079, 50)
    shares = sample["poster_name"].value_counts(normalize=True)
    assert near(shares[:1].sum(), 0.022, 0.007)
    assert near(shares[:10].sum(), 0.088, 0.027)
    assert near(shares[:50].sum(), 0.21, 0.05)
    assert near((sample.groupby("poster_name")["category"].nunique() > 1).sum(), 57, 25)


def test_frequent_posters_sit_at_the_minimum_of_each_attribute(posts: pd.DataFrame) -> None:
    frequent = posts["poster_name"].value_counts().index[:40]
    people = posts[posts["poster_name"].isin(frequent)].drop_duplicates("poster_name")
    assert people["age"].median() == 20
    assert share(people["country"].str.startswith("A")) > 0.8
    assert people["latitude"].median() < -85
    assert people["longitude"].median() < -170
    assert share(people["date_joined"] < "2015-12-01") > 0.8
    assert share(people["first_name"].str.startswith("A")) > 0.8


def test_ages(posts: pd.DataFrame) -> None:
    assert (posts["age"].min(), posts["age"].max()) == (20, 60)
    for quantile, age in {0.25: 21, 0.5: 26, 0.75: 37}.items():
        assert near(posts["age"].quantile(quantile), age, 1)
    groups = pd.cut(posts["age"], [0, 24, 35, 50, 99]).value_counts(normalize=True, sort=False)
    assert all(near(*pair, 0.03) for pair in zip(groups, [0.45, 0.27, 0.20, 0.08], strict=True))


def test_joining_comes_before_posting(posts: pd.DataFrame) -> None:
    joined, posted = posts["date_joined"], posts["timestamp"]
    assert (joined < posted).all()
    assert joined.min() >= pd.Timestamp("2015-10-21")
    assert joined.max() < pd.Timestamp("2017-10-21")
    assert posted.min() >= pd.Timestamp("2017-10-20")
    assert posted.max() < pd.Timestamp("2022-10-19")
    years = joined.dt.year.value_counts(normalize=True)
    assert all(near(years[year], expected, 0.04) for year, expected in {2015: 0.41, 2016: 0.44, 2017: 0.15}.items())
    years = posted.dt.year.value_counts(normalize=True)
    expected = {2017: 0.04, 2018: 0.20, 2019: 0.20, 2020: 0.20, 2021: 0.20, 2022: 0.16}
    assert all(near(years[year], part, 0.015) for year, part in expected.items())


def test_follower_counts(posts: pd.DataFrame) -> None:
    written = posts["follower_count"]
    for pattern, expected in {r"\d{1,3}k": 0.735, r"\d{1,3}": 0.187, r"(?:[1-68]|15)M": 0.07}.items():
        assert near(share(written.str.fullmatch(pattern)), expected, 0.03), pattern
    followers = posts["followers"].dropna()
    for quantile, expected in {0.25: 3_000, 0.5: 28_000, 0.75: 205_000, 0.9: 902_000, 0.95: 2e6, 0.99: 5e6}.items():
        assert near(np.log10(followers.quantile(quantile)), np.log10(expected), 0.31), quantile
    assert followers.quantile(0.05) < 60
    assert followers.max() == 15_000_000
    assert near(share(followers == 0), 0.007, 0.006)
    medians = {"tattoos": 190_000, "quotes": 163_000, "diy-and-crafts": 89_000, "art": 44_000, "christmas": 40_000,
               "home-decor": 33_000, "education": 31_000, "beauty": 23_000, "finance": 17_000, "travel": 16_000,
               "event-planning": 6_000, "vehicles": 3_500, "mens-fashion": 3_000}  # fmt: skip
    found = posts.groupby("category")["followers"].median()
    assert all(near(np.log10(found[name]), np.log10(median), 0.2) for name, median in medians.items())


def test_the_young_and_the_early_have_more_followers(posts: pd.DataFrame) -> None:
    by_age = posts.groupby(pd.cut(posts["age"], [0, 24, 35, 50, 99]), observed=True)["followers"].median()
    by_year = posts.groupby(posts["date_joined"].dt.year)["followers"].median()
    assert by_age.is_monotonic_decreasing
    assert by_year.is_monotonic_decreasing
    assert by_age.iloc[0] > 4 * by_age.iloc[1]


def test_countries(posts: pd.DataFrame) -> None:
    assert posts["country"].nunique() == 243
    assert {
        "Antarctica (the territory South of 60 deg S)", "British Indian Ocean Territory (Chagos Archipelago)",
        "Cote d'Ivoire", "Lao People's Democratic Republic", "Svalbard & Jan Mayen Islands",
    } < set(posts["country"])  # fmt: skip
    shares = posts["country"].value_counts(normalize=True)
    names = sorted(shares.index)
    assert near(shares[names[:20]].sum(), 0.39, 0.04)
    assert near(shares[names[:40]].sum(), 0.53, 0.04)
    assert all(name.startswith("A") for name in shares.index[:5])


def test_coordinates_are_what_a_float_column_returns(posts: pd.DataFrame) -> None:
    for column, limit in {"latitude": 90, "longitude": 180}.items():
        values = posts[column]
        assert values.between(-limit, limit).all()
        assert [float(f"{np.float32(value):.6g}") for value in values] == values.tolist()
    assert all(near(posts["latitude"].quantile(q), v, 6) for q, v in {0.25: -83, 0.5: -66, 0.75: -17}.items())
    assert all(near(posts["longitude"].quantile(q), v, 12) for q, v in {0.25: -167, 0.5: -123, 0.75: -29}.items())


def test_tag_lists(posts: pd.DataFrame) -> None:
    tags = posts.loc[posts["tag_list"] != generate.NO_TAGS, "tag_list"]
    lists = tags.str.split(",")
    assert 0.995 < share(lists.map(len) == 9) < 1
    assert share(lists.map(lambda found: len(set(found)) == len(found))) == 1
    assert near(tags.str.len().median(), 151, 12)
    assert lists.explode().map(lambda tag: tag == tag.title() and tag == tag.strip()).all()


def test_texts(posts: pd.DataFrame, sample: pd.DataFrame) -> None:
    beyond_ascii: Callable[[str], bool] = lambda text: not text.isascii()  # noqa: E731
    titles, descriptions, names = posts["title"], posts["description"], posts["poster_name"]
    assert (titles.str.len().min(), titles.str.len().max()) == (1, 199)
    assert near(titles.str.len().median(), 50, 6)
    assert near(share(titles.map(beyond_ascii)), 0.10, 0.02)
    assert descriptions.str.len().max() == 180
    assert near(share(descriptions.str.endswith("…\u00a0")), 0.37, 0.03)
    assert near(share(descriptions.map(beyond_ascii)), 0.43, 0.03)
    assert names.str.len().max() > 113
    assert near(share(names.str.contains("|", regex=False)), 0.14, 0.05)
    assert near(share(names.str.endswith(" ")), 0.02, 0.015)
    same = sample.groupby(["title", "description", "poster_name"]).size() > 1
    assert near(same.sum(), 37, 20)
    pictures = posts.loc[posts["image_src"] != generate.NO_IMAGE, "image_src"]
    assert pictures.duplicated().any()


@pytest.mark.parametrize("letters", ["а-я", "α-ω", "\u3040-\u30ff", "\U0001f300-\U0001faff", "\U0001d400-\U0001d7ff"])
def test_titles_hold_cyrillic_greek_japanese_emoji_and_mathematical_letters(posts: pd.DataFrame, letters: str) -> None:
    assert posts["title"].str.contains(f"[{letters}]").sum() >= 3


def test_nothing_is_empty_or_missing(posts: pd.DataFrame) -> None:
    text = posts.select_dtypes(exclude="number").drop(columns=["timestamp", "date_joined"])
    assert text.map(lambda value: bool(value.strip())).all(axis=None)
    assert posts.drop(columns="followers").notna().all(axis=None)
