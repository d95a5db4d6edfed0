-- The median follower count by year of joining, 2015 to 2020 inclusive, over persons. Exact; persons without a count are left out.
-- Per post, as most courses answer it: FROM posts.
SELECT join_year, percentile(follower_count, 0.5) AS median_follower_count
FROM persons
WHERE join_year BETWEEN 2015 AND 2020
GROUP BY join_year
