"""The list of those that are measured, in the order of the table."""

from benchmarks.peers import haproxy, hydra, nginx, node_http_proxy, python_proxies

__all__ = ["OURS", "SUBJECTS"]

OURS = hydra.SUBJECT.name

SUBJECTS = (
    hydra.SUBJECT,
    nginx.SUBJECT,
    haproxy.SUBJECT,
    node_http_proxy.SUBJECT,
    python_proxies.FASTAPI_PROXY_LIB,
    python_proxies.AIOHTTP,
)
