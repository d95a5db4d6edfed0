-- The median follower count in each age group, over persons. Exact; persons without a count are left out.
-- Per post, as most courses answer it: FROM posts.
SELECT age_group, percentile(follower_count, 0.5) AS median_follower_count
FROM persons
WHERE age_group IS NOT NULL
GROUP BY age_group
