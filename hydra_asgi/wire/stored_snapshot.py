"""A whole snapshot as the bytes of a file: what a node knew last, for a start without the store.

One line says what follows, with a checksum over it; then one line per instance and one per service with settings. A
file that was cut off, altered or written by something else is refused whole: half a directory would be worse than
waiting for the store.
"""

import re
from dataclasses import replace
from hashlib import sha256

from hydra_asgi.core.instance import Revision, ServiceInstance, Snapshot
from hydra_asgi.core.routing.token import MAX_TOKEN, MIN_TOKEN
from hydra_asgi.core.service_name import check_service_name
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.wire.stored_document import Fields, StoredDocumentError, dump_document, read_document
from hydra_asgi.wire.stored_instance import instance_fields, read_instance
from hydra_asgi.wire.stored_settings import read_settings, settings_fields

__all__ = ["MAX_SNAPSHOT", "dump_snapshot", "parse_snapshot"]

MAX_SNAPSHOT = 268_435_456
"""256 MiB: 100,000 instances with ten routes each take about half."""

_ENTRY = "snapshot"
_EPOCH = re.compile(r"[A-Za-z0-9_-]+")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def dump_snapshot(snapshot: Snapshot) -> bytes:
    """Write a snapshot with everything that is listed. Equal snapshots are equal bytes.

    Raises:
        StoredDocumentError: something in it could not be read again.
    """
    lines = [dump_document(_listed_fields(instance), _ENTRY) for instance in snapshot.instances]
    lines += [
        dump_document({"of": service, "settings": settings_fields(settings)}, _ENTRY)
        for service, settings in sorted(snapshot.settings.items())
    ]
    rest = b"".join(line + b"\n" for line in lines)
    head = {
        "epoch": snapshot.revision.epoch,
        "counter": snapshot.revision.counter,
        "instances": len(snapshot.instances),
        "settings": len(snapshot.settings),
        "sha256": sha256(rest).hexdigest(),
    }
    return dump_document(head, _ENTRY) + b"\n" + rest


def parse_snapshot(body: bytes) -> Snapshot:
    """Read a snapshot. Takes a tenth of a second per thousand instances: not to be called on an event loop.

    Raises:
        StoredDocumentError: it is not one, or not whole.
    """
    if len(body) > MAX_SNAPSHOT:
        raise StoredDocumentError(_ENTRY, f"it has {len(body)} bytes, at most {MAX_SNAPSHOT} are read")
    first, _, rest = body.partition(b"\n")
    revision, instances, settings, digest = read_document(first, _ENTRY, _head)
    lines = rest.split(b"\n")
    if lines.pop() or len(lines) != instances + settings or sha256(rest).hexdigest() != digest:
        raise StoredDocumentError(_ENTRY, "it is not whole, or was changed after it was written")
    return Snapshot(
        revision,
        tuple(read_document(line, _ENTRY, _listed) for line in lines[:instances]),
        dict(read_document(line, _ENTRY, _settings) for line in lines[instances:]),
    )


def _head(fields: Fields) -> tuple[Revision, int, int, str]:
    return (
        Revision(fields.text("epoch", form=_EPOCH, most=64), fields.integer("counter", 0)),
        fields.integer("instances", 0),
        fields.integer("settings", 0),
        fields.text("sha256", form=_DIGEST),
    )


def _listed_fields(instance: ServiceInstance) -> dict[str, object]:
    listed = {"token": instance.token, "order": instance.order, "active": instance.active}
    return instance_fields(instance) | listed


def _listed(fields: Fields) -> ServiceInstance:
    return replace(
        read_instance(fields),
        token=fields.integer("token", MIN_TOKEN, MAX_TOKEN),
        order=fields.integer("order", 0),
        active=fields.flag("active", default=True),
    )


def _settings(fields: Fields) -> tuple[str, ServiceSettings]:
    return check_service_name(fields.text("of")), fields.inner("settings", read_settings)
