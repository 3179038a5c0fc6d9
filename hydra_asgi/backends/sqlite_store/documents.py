"""Reads the documents in the file, each once, and says of each that cannot be read why it is left out."""

import logging

from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.wire.stored_document import StoredDocumentError
from hydra_asgi.wire.stored_instance import parse_instance
from hydra_asgi.wire.stored_settings import parse_settings

__all__ = ["Documents"]

_logger = logging.getLogger("hydra_asgi.store")

_MAX_REPORTED = 1_000
"""Nobody reads more of the same; beyond that it is said again."""

Key = tuple[str, str]


class Documents:
    """What was read last, by the bytes it was read from."""

    def __init__(self) -> None:
        self._read: dict[Key, tuple[bytes, ServiceInstance | None]] = {}
        self._reported: set[tuple[str, str]] = set()

    def instance(self, key: Key, document: bytes) -> ServiceInstance | None:
        """What an instance announced; None for what cannot be read, which is said once.

        Args:
            key: service and address, as they stand beside the document.
            document: what anybody may have written.
        """
        known = self._read.get(key)
        if known is None or known[0] != document:
            known = self._read[key] = (document, self._parse(key, document))
        return known[1]

    def settings(self, service: str, document: bytes) -> ServiceSettings | None:
        """The settings of a service; None for what cannot be read, which is said once."""
        try:
            return parse_settings(document, service)
        except StoredDocumentError as error:
            self._report(error)
            return None

    def forget_others(self, keys: set[Key]) -> None:
        """Keep only what is listed."""
        for key in self._read.keys() - keys:
            del self._read[key]

    def _parse(self, key: Key, document: bytes) -> ServiceInstance | None:
        entry = f"{key[0]} at {key[1]}"
        try:
            instance = parse_instance(document, entry)
            if instance.key != key:
                raise StoredDocumentError(entry, f"it is that of {instance.service} at {instance.address}")
        except StoredDocumentError as error:
            self._report(error)
            return None
        return instance

    def _report(self, error: StoredDocumentError) -> None:
        if len(self._reported) >= _MAX_REPORTED:
            self._reported.clear()
        if (error.entry, error.reason) not in self._reported:
            self._reported.add((error.entry, error.reason))
            _logger.warning("%s; it is left out", error)
