"""Readers of options that say something about each service: what it gets, and what its calls are signed with."""

import re
from collections.abc import Mapping, Sequence

from hydra_asgi.core.service_name import ServiceNameError, check_service_name
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.options.mistakes import read_items, read_text, wrong

__all__ = ["MIN_SECRET", "read_forward", "read_forward_cookies", "read_secret", "read_service_secrets"]

MIN_SECRET = 16
"""HMAC-SHA256 wants at least 128 bits; sixteen characters is the least that can hold them."""

_FIELD = "[A-Za-z0-9!#$%&'*+.^_`|~-]+"


def read_secret(value: object, origin: str) -> str:
    """A secret, long enough to be one; "" for none.

    Raises:
        ConfigurationError: it is too short. The message does not show it.
    """
    text = read_text(value, origin)
    if text and len(text) < MIN_SECRET:
        raise ConfigurationError(
            f"{origin} has {len(text)} characters, at least {MIN_SECRET} are needed; one can be made with: "
            'python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    return text


def read_service_secrets(value: object, origin: str) -> Mapping[str, tuple[str, ...]]:
    """Secrets of single services; as text `orders=secret|other secret, billing=secret`.

    Raises:
        ConfigurationError: it is something else, or a secret is too short. The message does not show secrets.
    """
    expected = "a mapping from service to one secret or several; as text: orders=SECRET|OTHER-SECRET, billing=SECRET"
    if isinstance(value, str):
        pairs = [item.partition("=") for item in read_items(value, origin)]
        if not all(equals for _, equals, _ in pairs):
            raise wrong(origin, "***", expected)
        value = {service.strip(): secrets.split("|") for service, _, secrets in pairs}
    if not isinstance(value, Mapping):
        raise wrong(origin, "***", expected)
    found: dict[str, tuple[str, ...]] = {}
    for service, given in value.items():
        secrets = [given] if isinstance(given, str) else given
        if not isinstance(secrets, Sequence) or not secrets or not all(secrets):
            raise wrong(origin, "***", expected)
        name = _name(service, origin)
        found[name] = tuple(read_secret(secret, f"{origin} of {name}") for secret in secrets)
    return found


def read_forward(value: object, origin: str) -> Mapping[str, tuple[str, ...]]:
    """Names of header fields and cookies, by service; `*` stands for all of them.

    Raises:
        ConfigurationError: it is something else.
    """
    expected = "names for all services, or a mapping from service to names; as text: orders=X-Tenant|cookie:sid"
    return _rules(value, origin, rf"(cookie:)?{_FIELD}", expected)


def read_forward_cookies(value: object, origin: str) -> Mapping[str, frozenset[str]]:
    """Names of cookies, by service; `*` stands for all of them, and nothing after the equals sign for no cookie.

    Raises:
        ConfigurationError: it is something else.
    """
    expected = "cookie names for all services, or a mapping from service to names; as text: orders=sid|lang, legacy="
    rules = _rules(value, origin, _FIELD, expected)
    return {service: frozenset(names) for service, names in rules.items()}


def _rules(value: object, origin: str, name_form: str, expected: str) -> Mapping[str, tuple[str, ...]]:
    if isinstance(value, str):
        pairs: dict[str, object] = {}
        for item in read_items(value, origin):
            service, equals, names = item.partition("=")
            pairs[service.strip() if equals else "*"] = (names if equals else item).split("|")
        value = pairs
    if isinstance(value, Sequence):
        value = {"*": value}
    if not isinstance(value, Mapping):
        raise wrong(origin, value, expected)
    rules = {
        "*" if service == "*" else _name(service, origin): read_items(names, f"{origin} of {str(service)[:120]}")
        for service, names in value.items()
    }
    for name in (name for names in rules.values() for name in names):
        if not re.fullmatch(name_form, name):
            raise wrong(origin, name, expected)
    return rules


def _name(service: object, origin: str) -> str:
    try:
        return check_service_name(read_text(service, origin))
    except ServiceNameError as error:
        raise ConfigurationError(f"{origin} {error}") from None
