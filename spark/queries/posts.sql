-- A post: a pin, its place and its user. Incomplete events are left out here; ops.quality counts them.
-- Ages outside the four groups (under 18, or missing) belong to none.
SELECT
  pin.ind,
  pin.category,
  pin.poster_name,
  pin.follower_count,
  geo.country,
  year(geo.timestamp) AS post_year,
  user.user_name,
  user.age,
  user.date_joined,
  year(user.date_joined) AS join_year,
  CASE
    WHEN user.age BETWEEN 18 AND 24 THEN '18-24'
    WHEN user.age BETWEEN 25 AND 35 THEN '25-35'
    WHEN user.age BETWEEN 36 AND 50 THEN '36-50'
    WHEN user.age > 50 THEN '50+'
  END AS age_group
FROM pin
JOIN geo ON geo.ind = pin.ind
JOIN user ON user.ind = pin.ind
