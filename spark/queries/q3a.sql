-- The user with the most followers in each country: each poster's largest count there, then the first of them.
-- Ties are kept; posts without a poster or a count are left out.
WITH posters AS (
  SELECT country, poster_name, max(follower_count) AS follower_count
  FROM posts
  WHERE country IS NOT NULL AND poster_name IS NOT NULL AND follower_count IS NOT NULL
  GROUP BY country, poster_name
)
SELECT country, poster_name, follower_count
FROM posters
QUALIFY rank() OVER (PARTITION BY country ORDER BY follower_count DESC) = 1
