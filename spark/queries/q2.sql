-- The most popular category of each year of posting, 2018 to 2022 inclusive, by number of posts. Ties are kept.
WITH counted AS (
  SELECT post_year, category, count(*) AS category_count
  FROM posts
  WHERE post_year BETWEEN 2018 AND 2022 AND category IS NOT NULL
  GROUP BY post_year, category
)
SELECT post_year, category, category_count
FROM counted
QUALIFY rank() OVER (PARTITION BY post_year ORDER BY category_count DESC) = 1
