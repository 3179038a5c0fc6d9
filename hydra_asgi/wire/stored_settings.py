"""The central settings of one service as a document in a shared store. The service's name is the entry's, not its."""

import re

from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings, SharePolicy
from hydra_asgi.wire.stored_document import Fields, StoredDocumentError, dump_document, read_document

__all__ = ["dump_settings", "parse_settings", "read_settings", "settings_fields"]

MAX_SHARES = 1_000
MAX_SHARE = 1e12
"""Far beyond every share anybody sets; sums of them stay finite."""
MAX_CONDITIONS = 1_000
MAX_PREFIXES = 1_000

_POLICIES = {policy.value: policy for policy in SharePolicy}
_SOURCES = {source.value: source for source in ConditionSource}
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PREFIX = re.compile(r"/[^\x00-\x1f\x7f-\x9f?#\\]*")


def dump_settings(settings: ServiceSettings, service: str) -> bytes:
    """Write the settings of a service. Equal settings are equal bytes.

    Raises:
        StoredDocumentError: they are not settings that could be read again; names the field.
    """
    body = dump_document(settings_fields(settings), service)
    # Whatever is accepted here has to be accepted by every node that reads it.
    if parse_settings(body, service) != settings:
        raise StoredDocumentError(service, "they would be read as other settings than those that were written")
    return body


def parse_settings(body: bytes, service: str) -> ServiceSettings:
    """Read the settings of a service.

    Args:
        body: a document that anybody may have written.
        service: whose they are, for the message.

    Raises:
        StoredDocumentError: it cannot be used.
    """
    return read_document(body, service, read_settings)


def settings_fields(settings: ServiceSettings) -> dict[str, object]:
    """What is written of settings; what is not set is left out."""
    fields = {
        "shares": [_share_fields(*given) for given in sorted(settings.shares.items())],
        "policy": settings.policy and settings.policy.value,
        "conditions": [_condition_fields(condition) for condition in settings.conditions],
        "prefixes": list(settings.prefixes),
    }
    return {name: value for name, value in fields.items() if value}


def read_settings(fields: Fields) -> ServiceSettings:
    """Make settings of the fields of a document."""
    return ServiceSettings(
        shares=dict(fields.each("shares", MAX_SHARES, _share)),
        policy=fields.one_of("policy", _POLICIES) if fields.has("policy") else None,
        conditions=fields.each("conditions", MAX_CONDITIONS, _condition),
        prefixes=tuple(fields.texts("prefixes", MAX_PREFIXES, form=_PREFIX)),
    )


def _share_fields(version: int, share: float) -> dict[str, object]:
    return {"version": version, "share": float(share) + 0.0}  # one form of zero


def _share(fields: Fields) -> tuple[int, float]:
    return fields.integer("version"), fields.number("share", MAX_SHARE)


def _condition_fields(condition: Condition) -> dict[str, object]:
    return {
        "source": condition.source.value,
        "name": condition.name,
        "value": condition.value,
        "version": condition.version,
    }


def _condition(fields: Fields) -> Condition:
    return Condition(
        source=fields.one_of("source", _SOURCES),
        name=fields.text("name", form=_NAME, most=256),
        value=fields.text("value"),
        version=fields.integer("version"),
    )
