"""The Compose replica, tried for real: an engine, stand-ins for images that can't be pulled, and the tests on them."""
