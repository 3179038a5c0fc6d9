"""The example site: a shop (FastAPI) and its order service (Quart), run with `python -m examples`."""
