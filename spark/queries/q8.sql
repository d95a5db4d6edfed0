-- The median follower count by age group and year of joining, 2015 to 2020 inclusive, over persons. Exact; persons without
-- a count are left out. Per post, as most courses answer it: FROM posts.
SELECT age_group, join_year, percentile(follower_count, 0.5) AS median_follower_count
FROM persons
WHERE join_year BETWEEN 2015 AND 2020 AND age_group IS NOT NULL
GROUP BY age_group, join_year
