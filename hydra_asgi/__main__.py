"""`python -m hydra_asgi` is the command line too."""

from hydra_asgi.cli import main

main()
