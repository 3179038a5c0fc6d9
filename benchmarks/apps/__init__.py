"""What the benchmark runs in processes of its own: ASGI proxies, the origin, the load for WebSockets."""
