"""HAProxy with one thread."""

import string

from benchmarks.peers.subject import Place, Subject
from benchmarks.processes import Process
from benchmarks.tools import Command

__all__ = ["SUBJECT"]

HAPROXY = Command("haproxy", "haproxy")

_CONFIGURATION = string.Template("""
global
    nbthread 1
    maxconn 2000
defaults
    mode http
    option forwardfor
    http-reuse always
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
frontend front
    bind 127.0.0.1:$port
    use_backend echo if { path /echo }
    default_backend origin
backend origin
    server origin 127.0.0.1:$origin
backend echo
    server echo 127.0.0.1:$echo
""")


def _start(place: Place) -> Process:
    text = _CONFIGURATION.substitute(port=place.port, origin=place.origin, echo=place.echo)
    command = [HAPROXY.path, "-db", "-f", place.write("haproxy.cfg", text)]
    return place.processes.start("haproxy", command, core=place.core)


SUBJECT = Subject("haproxy", _start, needs=(HAPROXY,))
