"""The shop of the example site: gateway and core pages, written with FastAPI."""
