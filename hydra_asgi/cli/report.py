"""Writes surveys for people and for programs."""

import json
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from hydra_asgi.cli.output import table
from hydra_asgi.cli.survey import Survey
from hydra_asgi.discovery.discover import FoundRoute

__all__ = ["as_json", "print_tables"]


def as_json(surveys: Sequence[Survey], conflicts: Iterable[str]) -> str:
    """One object with `apps` and `conflicts`."""
    apps = [
        {
            "app": survey.app,
            "service": survey.service,
            "framework": survey.discovery.framework,
            "catchAll": survey.discovery.catch_all,
            "routes": [_route_json(found) for found in survey.discovery.found],
            "problems": list(survey.discovery.problems),
        }
        for survey in surveys
    ]
    return json.dumps({"apps": apps, "conflicts": list(conflicts)}, indent=2)


def _route_json(found: FoundRoute) -> dict[str, object]:
    route = found.route
    return {
        "template": route.template,
        "local": found.local,
        "methods": None if route.methods is None else sorted(route.methods),
        "kind": route.kind.value,
        "host": route.host,
        "source": found.source,
        "published": not found.hidden,
        "reason": found.hidden,
    }


def print_tables(console: Console, surveys: Sequence[Survey]) -> None:
    """One table for each app, its problems below it."""
    for survey in surveys:
        title = f"{survey.app} ({survey.service})" if survey.service else survey.app
        rows = table(title, ("template", "methods", "kind", "source", "published"))
        for found in survey.discovery.found:
            rows.add_row(*_cells(found), style="dim" if found.hidden else "")
        console.print(rows)
        for problem in survey.discovery.problems:
            console.print(Text(f"problem: {problem}", "yellow"), soft_wrap=True)


def _cells(found: FoundRoute) -> tuple[Text, ...]:
    """Text objects, so that brackets in a path are no markup."""
    route = found.route
    methods = "any" if route.methods is None else ",".join(sorted(route.methods))
    published = f"no: {found.hidden}" if found.hidden else "yes"
    cells = (f"{route.host or ''}{route.template}", methods, route.kind.value, found.source, published)
    return tuple(Text(cell) for cell in cells)
