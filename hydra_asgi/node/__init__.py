"""The node at work: its parts put together, started, watched and stopped."""
