"""nginx: as a proxy with one worker, and as the origin."""

import string

from benchmarks.load import SIZES
from benchmarks.peers.subject import Place, Subject, nginx_user
from benchmarks.processes import Process
from benchmarks.tools import Command

__all__ = ["NGINX", "SUBJECT", "start_origin"]

NGINX = Command("nginx", "nginx")

_FRAME = string.Template("""
daemon off; worker_processes 1; pid nginx.pid; error_log stderr crit; $user
events { worker_connections 1024; }
http {
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; open_file_cache max=16;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi; client_max_body_size 0; client_body_buffer_size 256k;
    $http
}
""")

_PROXY = string.Template("""
    upstream origin { server 127.0.0.1:$origin; keepalive 128; keepalive_requests 100000000; }
    upstream echo { server 127.0.0.1:$echo; }
    server {
        listen 127.0.0.1:$port; proxy_http_version 1.1; proxy_max_temp_file_size 0; proxy_request_buffering off;
        proxy_set_header Host $$host; proxy_set_header X-Forwarded-For $$proxy_add_x_forwarded_for;
        location / { proxy_set_header Connection ""; proxy_pass http://origin; }
        location = /echo {
            proxy_set_header Upgrade $$http_upgrade; proxy_set_header Connection upgrade; proxy_pass http://echo;
        }
    }
""")

# A location that answers by itself discards a body while it answers; mirroring makes nginx read all of it first.
_ORIGIN = string.Template("""
    server {
        listen 127.0.0.1:$port; root $folder; default_type text/plain;
        location = /sink { mirror /void; mirror_request_body on; error_page 405 =200 /swallowed; }
        location = /count { stub_status; }
        location = /void { internal; return 204; }
    }
""")


def _start(place: Place) -> Process:
    return _run(place, "nginx", _PROXY.substitute(port=place.port, origin=place.origin, echo=place.echo), place.core)


def start_origin(place: Place) -> Process:
    """Serve the bodies from files, as nginx does best."""
    for path, size in SIZES.items():
        place.write(path.lstrip("/"), "x" * size)
    place.write("sink", "nobody reads this; the method is refused only where there is a file")
    place.write("swallowed", "swallowed\n")
    return _run(place, "origin", _ORIGIN.substitute(port=place.port, folder=place.folder), place.load_core)


def _run(place: Place, name: str, http: str, core: int) -> Process:
    configuration = place.write(f"{name}.conf", _FRAME.substitute(user=nginx_user(), http=http))
    command = [NGINX.path, "-p", str(place.folder), "-e", "stderr", "-c", configuration]
    return place.processes.start(name, command, core=core)


SUBJECT = Subject("nginx", _start, needs=(NGINX,))
