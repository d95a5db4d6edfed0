-- How many persons joined in each year, 2015 to 2020 inclusive; with or without a follower count.
-- Per post, as most courses answer it: FROM posts.
SELECT join_year, count(*) AS number_users_joined
FROM persons
WHERE join_year BETWEEN 2015 AND 2020
GROUP BY join_year
