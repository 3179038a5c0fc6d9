"""The order service of the example site, written with Quart."""
