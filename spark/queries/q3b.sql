-- The country of the user with the most followers: one row; of several such countries the first by name.
SELECT country, max(follower_count) AS follower_count
FROM posts
WHERE country IS NOT NULL AND poster_name IS NOT NULL AND follower_count IS NOT NULL
GROUP BY country
ORDER BY follower_count DESC, country
LIMIT 1
