-- The most popular category in each country, by number of posts. Ties are kept.
WITH counted AS (
  SELECT country, category, count(*) AS category_count
  FROM posts
  WHERE country IS NOT NULL AND category IS NOT NULL
  GROUP BY country, category
)
SELECT country, category, category_count
FROM counted
QUALIFY rank() OVER (PARTITION BY country ORDER BY category_count DESC) = 1
