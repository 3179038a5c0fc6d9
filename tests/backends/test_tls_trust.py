"""The TLS context for `https` instances."""

import asyncio
import ssl

from hydra_asgi.backends.tls_trust import TlsTrust


async def test_the_systems_certificates_are_read_once_and_only_when_needed() -> None:
    """A fresh context trusts nobody and checks names; asking for it twice at once reads the system's trust once."""
    trust = TlsTrust()
    assert trust.context.check_hostname
    assert trust.context.verify_mode is ssl.CERT_REQUIRED
    assert trust.context.cert_store_stats()["x509"] == 0
    read = 0

    def count() -> None:
        nonlocal read
        read += 1

    trust.context.load_default_certs = count  # type: ignore[method-assign, assignment]  # the system may have none
    await asyncio.gather(trust.ready(), trust.ready())
    await trust.ready()
    assert read == 1


async def test_a_context_that_is_given_is_ready() -> None:
    """A context of the user's is used as it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust = TlsTrust(context)
    await trust.ready()
    assert trust.context is context
    assert context.cert_store_stats()["x509"] == 0
