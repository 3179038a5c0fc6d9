"""http-proxy, on which most proxies for Node.js are built, with an agent that keeps its connections."""

import string

from benchmarks.peers.subject import Place, Subject
from benchmarks.processes import Process
from benchmarks.tools import NODE_FOLDER, Command, NodeModule

__all__ = ["SUBJECT"]

NODE = Command("node", "nodejs")

_SCRIPT = string.Template("""
const http = require("http");
const proxies = require("http-proxy");
const agent = new http.Agent({keepAlive: true, maxFreeSockets: 256});
const proxy = proxies.createProxyServer({target: "http://127.0.0.1:$origin", agent, xfwd: true});
const echo = proxies.createProxyServer({target: "ws://127.0.0.1:$echo", ws: true, xfwd: true});
for (const one of [proxy, echo]) one.on("error", (error, request, response) => response.destroy());
const server = http.createServer((request, response) => proxy.web(request, response));
server.on("upgrade", (request, socket, head) => echo.ws(request, socket, head));
server.listen($port, "127.0.0.1");
""")


def _start(place: Place) -> Process:
    text = _SCRIPT.substitute(port=place.port, origin=place.origin, echo=place.echo)
    command = [NODE.path, place.write("proxy.js", text)]
    env = {"NODE_PATH": str(NODE_FOLDER / "node_modules"), "NODE_NO_WARNINGS": "1"}
    return place.processes.start("node http-proxy", command, core=place.core, env=env)


SUBJECT = Subject("node http-proxy", _start, needs=(NODE, NodeModule("http-proxy")))
