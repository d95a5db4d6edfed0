"""The second opinion: cleaning rules and questions asked of the source tables in DuckDB, written apart from the lake's.

`clean(connection)` makes tables pin, geo and user out of raw_pin, raw_geo and raw_user (the source's rows);
`ANSWERS` holds a query a question. Nothing here imports from lakehouse.
"""

from collections.abc import Mapping, Sequence

import duckdb
import pandas as pd
from sqlalchemy import Engine, text

SOURCES = {"pin": ("pinterest_data", "index"), "geo": ("geolocation_data", "ind"), "user": ("user_data", "ind")}

_CLEAN = r"""
CREATE MACRO told(x, marker) AS CASE WHEN trim(x) = '' OR x = marker THEN NULL ELSE x END;

CREATE TABLE pin AS SELECT
  "index" AS ind,
  told(unique_id, NULL) AS unique_id,
  told(title, 'No Title Data Available') AS title,
  CASE WHEN description IN ('No description available Story format', 'No description available', 'Untitled')
       THEN NULL ELSE told(description, NULL) END AS description,
  CASE
    WHEN follower_count = 'User Info Error' OR trim(follower_count) = '' THEN NULL
    WHEN follower_count LIKE '%k' THEN CAST(CAST(rtrim(follower_count, 'k') AS DECIMAL(18, 6)) * 1000 AS BIGINT)
    WHEN follower_count LIKE '%M' THEN CAST(CAST(rtrim(follower_count, 'M') AS DECIMAL(18, 6)) * 1000000 AS BIGINT)
    ELSE CAST(follower_count AS BIGINT)
  END AS follower_count,
  told(poster_name, 'User Info Error') AS poster_name,
  told(tag_list, 'N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e') AS tag_list,
  told(is_image_or_video, NULL) AS is_image_or_video,
  told(image_src, 'Image src error.') AS image_src,
  regexp_replace(told(save_location, NULL), '^Local save in ', '') AS save_location,
  told(category, NULL) AS category
FROM raw_pin;

CREATE TABLE geo AS SELECT
  ind, told(country, NULL) AS country, [latitude::DOUBLE, longitude::DOUBLE] AS coordinates, "timestamp"
FROM raw_geo;

CREATE TABLE "user" AS SELECT ind, first_name || ' ' || last_name AS user_name, age, date_joined FROM raw_user;

CREATE TABLE posts AS
SELECT * FROM pin JOIN geo USING (ind) JOIN "user" USING (ind);

CREATE TABLE persons AS
SELECT user_name, age, date_joined, max(follower_count) AS followers
FROM posts GROUP BY user_name, age, date_joined;

CREATE MACRO age_group(age) AS CASE
  WHEN age >= 18 AND age <= 24 THEN '18-24' WHEN age >= 25 AND age <= 35 THEN '25-35'
  WHEN age >= 36 AND age <= 50 THEN '36-50' WHEN age >= 51 THEN '50+' END;
"""

ANSWERS = {
    "q1": """
        SELECT country, category, n AS category_count FROM
          (SELECT country, category, count(*) AS n, max(count(*)) OVER (PARTITION BY country) AS top
           FROM posts WHERE country IS NOT NULL AND category IS NOT NULL GROUP BY country, category)
        WHERE n = top""",
    "q2": """
        SELECT y AS post_year, category, n AS category_count FROM
          (SELECT year("timestamp") AS y, category, count(*) AS n,
                  max(count(*)) OVER (PARTITION BY year("timestamp")) AS top
           FROM posts WHERE year("timestamp") IN (2018, 2019, 2020, 2021, 2022) AND category IS NOT NULL
           GROUP BY y, category)
        WHERE n = top""",
    "q3a": """
        WITH best AS (SELECT country, poster_name, max(follower_count) AS f FROM posts
                      WHERE poster_name IS NOT NULL AND follower_count IS NOT NULL AND country IS NOT NULL GROUP BY ALL)
        SELECT country, poster_name, f AS follower_count FROM best
        WHERE f = (SELECT max(f) FROM best AS other WHERE other.country = best.country)""",
    "q3b": """
        SELECT country, follower_count FROM posts
        WHERE poster_name IS NOT NULL AND follower_count IS NOT NULL AND country IS NOT NULL
        ORDER BY follower_count DESC, country LIMIT 1""",
    "q4": """
        SELECT g AS age_group, category, n AS category_count FROM
          (SELECT age_group(age) AS g, category, count(*) AS n, max(count(*)) OVER (PARTITION BY age_group(age)) AS top
           FROM posts WHERE age_group(age) IS NOT NULL AND category IS NOT NULL GROUP BY g, category)
        WHERE n = top""",
    "q5": """
        SELECT age_group(age) AS age_group, median(followers)::DOUBLE AS median_follower_count
        FROM persons WHERE age_group(age) IS NOT NULL GROUP BY 1""",
    "q6": """
        SELECT year(date_joined) AS join_year, count(*) AS number_users_joined
        FROM persons WHERE year(date_joined) BETWEEN 2015 AND 2020 GROUP BY 1""",
    "q7": """
        SELECT year(date_joined) AS join_year, median(followers)::DOUBLE AS median_follower_count
        FROM persons WHERE year(date_joined) BETWEEN 2015 AND 2020 GROUP BY 1""",
    "q8": """
        SELECT age_group(age) AS age_group, year(date_joined) AS join_year,
               median(followers)::DOUBLE AS median_follower_count
        FROM persons WHERE year(date_joined) BETWEEN 2015 AND 2020 AND age_group(age) IS NOT NULL GROUP BY 1, 2""",
}


def source(engine: Engine, keys: set[int] | None = None) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB database with the source's rows (those of `keys` only, if given), cleaned."""
    connection = duckdb.connect()
    for name, (table, key) in SOURCES.items():
        with engine.connect() as mysql:
            rows = pd.read_sql(text(f"SELECT * FROM {table}"), mysql)
        if keys is not None:
            rows = rows[rows[key].isin(keys)]
        connection.register(f"{name}_rows", rows)
        connection.execute(f"CREATE TABLE raw_{name} AS SELECT * FROM {name}_rows")
    clean(connection)
    return connection


def of_rows(rows: Mapping[str, Sequence[Mapping[str, object]]]) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB database with records (event name → values of messages, whole), cleaned."""
    connection = duckdb.connect()
    for name, found in rows.items():
        frame = pd.DataFrame(found)
        connection.register(f"{name}_rows", frame.astype({"age": "Int64"}) if "age" in frame else frame)
        moment = {"geo": "timestamp", "user": "date_joined"}.get(name)
        replaced = f'REPLACE (CAST("{moment}" AS TIMESTAMP) AS "{moment}")' if moment else ""
        connection.execute(f"CREATE TABLE raw_{name} AS SELECT * {replaced} FROM {name}_rows")
    clean(connection)
    return connection


def clean(connection: duckdb.DuckDBPyConnection) -> None:
    """Make tables pin, geo and user, and what the questions read, out of raw_pin, raw_geo and raw_user."""
    connection.execute(_CLEAN)


def answers(connection: duckdb.DuckDBPyConnection) -> dict[str, list[dict[str, object]]]:
    """Return the nine answers, rows sorted as `ordered` does."""
    found = {}
    for question, query in ANSWERS.items():
        result = connection.execute(query)
        names = [column[0] for column in result.description]
        found[question] = ordered([dict(zip(names, row, strict=True)) for row in result.fetchall()])
    return found


def ordered(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Sort rows by all columns, so that two engines' answers can be compared."""
    return sorted(rows, key=lambda row: [(value is not None, str(value)) for value in row.values()])
