"""Numbers about process trees."""
