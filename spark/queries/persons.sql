-- A person: a distinct name, age and date of joining among the posts, with the largest follower count of their posts.
-- A user has no other identity in the source: names alone are shared by several people.
SELECT
  user_name,
  age,
  date_joined,
  join_year,
  age_group,
  max(follower_count) AS follower_count
FROM posts
GROUP BY user_name, age, date_joined, join_year, age_group
