"""`hydra-asgi weights`: who gets which version of a service, set for the whole site while it runs."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

import typer

from hydra_asgi.cli.output import fail, print_json, print_table, tell
from hydra_asgi.cli.settings_change import change_settings
from hydra_asgi.cli.settings_words import (
    read_condition,
    read_shares,
    settings_json,
    settings_lines,
    shares_text,
)
from hydra_asgi.cli.shared_store import WRONG, AsJson, StoreUrl, ask, look
from hydra_asgi.cli.site_view import names_beside, version_shares
from hydra_asgi.core.instance import Snapshot
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.core.service_settings import ServiceSettings, SharePolicy
from hydra_asgi.core.service_settings_check import check_settings

__all__ = ["application"]

application = typer.Typer(
    no_args_is_help=True, help="Say who gets which version of a service; every node follows within a second."
)

Service = Annotated[str, typer.Argument(help="The service's name.")]


@application.command("set")
def set_weights(
    service: Service,
    shares: Annotated[
        list[str] | None, typer.Argument(metavar="[VERSION=SHARE]...", help="Proportions: v2=10 v1=90.")
    ] = None,
    policy: Annotated[
        SharePolicy | None, typer.Option(case_sensitive=False, help="Let the shares follow from what is there.")
    ] = None,
    when: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE:NAME[=VALUE]=VERSION",
            help="Users who always get one version, by a header or a cookie: header:X-Tester=yes=v2. May be repeated.",
        ),
    ] = None,
    prefix: Annotated[
        list[str] | None, typer.Option(help="The service's routes count only below this path. May be repeated.")
    ] = None,
    store: StoreUrl = None,
) -> None:
    """Set the shares, the conditions or the prefixes of a service, each as a whole; what is not named stays."""
    if not (shares or policy or when or prefix):
        fail(WRONG, "nothing to set: give VERSION=SHARE, --policy, --when or --prefix; `weights clear` takes back")

    def change(settings: ServiceSettings) -> ServiceSettings:
        if shares or policy:
            settings = replace(settings, shares=read_shares(shares or []), policy=policy)
        if when:
            settings = replace(settings, conditions=tuple(map(read_condition, when)))
        if prefix:
            settings = replace(settings, prefixes=tuple(prefix))
        return check_settings(service, settings)

    snapshot, settings = ask(store, lambda opened: change_settings(opened, service, change))
    for text in _surprises(service, settings, snapshot):
        tell(text)
    _print({service: settings}, with_service=False)


@application.command("get")
def get_weights(
    service: Annotated[str | None, typer.Argument(help="Only those of this service.")] = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show what is set, for all services or for one."""
    every = look(store).settings
    given = {name: every[name] for name in sorted(every) if service in (None, name)}
    if as_json:
        print_json({"settings": {name: settings_json(settings) for name, settings in given.items()}})
    else:
        _print(given, with_service=True)
        if not given:
            tell(f"nothing is set{'' if service is None else f' for {service!r}'}: what instances announce decides")


@application.command("clear")
def clear_weights(
    service: Service,
    shares: Annotated[bool, typer.Option("--shares", help="Only the shares and the policy.")] = False,
    conditions: Annotated[bool, typer.Option("--conditions", help="Only the conditions.")] = False,
    prefixes: Annotated[bool, typer.Option("--prefixes", help="Only the prefixes.")] = False,
    store: StoreUrl = None,
) -> None:
    """Take back what is set for a service: everything, or only what is named."""
    everything = not (shares or conditions or prefixes)

    def change(settings: ServiceSettings) -> ServiceSettings:
        if everything or shares:
            settings = replace(settings, shares={}, policy=None)
        if everything or conditions:
            settings = replace(settings, conditions=())
        if everything or prefixes:
            settings = replace(settings, prefixes=())
        return settings

    before, settings = ask(store, lambda opened: change_settings(opened, service, change))
    if service not in before.settings:
        tell(f"nothing was set for {service!r}")
    elif not settings:
        tell(f"nothing is set for {service} any more: what its instances announce decides")
    else:
        _print({service: settings}, with_service=False)


def _print(given: dict[str, ServiceSettings], *, with_service: bool) -> None:
    rows = [(name, *line) for name, settings in given.items() for line in settings_lines(settings)]
    if with_service:
        print_table(("service", "setting", "value"), rows)
    else:
        print_table(("setting", "value"), [row[1:] for row in rows])


def _surprises(service: str, settings: ServiceSettings, snapshot: Snapshot) -> Iterator[str]:
    """What an operator may not have meant, seen with the instances that are there now."""
    there = [instance for instance in snapshot.instances if instance.service == service]
    if not there:
        yield f"no instance of {service!r} is registered now{names_beside(snapshot)}; what is set waits for one"
        return
    versions = {instance.version for instance in there}
    named = {*settings.shares, *(condition.version for condition in settings.conditions)}
    for version in sorted(named - versions):
        yield f"no instance of {service} v{version} is registered now"
    group = Group.build(there, settings)
    if group.is_drained:
        yield f"{service} takes no requests now: no version that is there has a share and an instance with weight"
    elif len(versions) > 1 and (settings.shares or settings.policy):
        yield f"now the users of {service} get {shares_text(version_shares(group))}"
