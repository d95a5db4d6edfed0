-- The most popular category in each age group, by number of posts. Ties are kept.
WITH counted AS (
  SELECT age_group, category, count(*) AS category_count
  FROM posts
  WHERE age_group IS NOT NULL AND category IS NOT NULL
  GROUP BY age_group, category
)
SELECT age_group, category, category_count
FROM counted
QUALIFY rank() OVER (PARTITION BY age_group ORDER BY category_count DESC) = 1
