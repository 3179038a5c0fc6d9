"""Why a peer did not answer."""

import pytest

from hydra_asgi.core.error_kind import OUTCOMES, ErrorKind
from hydra_asgi.core.fragment import FragmentCause
from hydra_asgi.errors import UpstreamError
from hydra_asgi.wire.peer_failure import CAUSES, PeerFailedError


def test_every_kind_has_a_cause() -> None:
    """A new kind of failure has to say what it means for a fragment."""
    assert set(CAUSES) == set(ErrorKind)


@pytest.mark.parametrize("kind", ErrorKind)
def test_a_failed_request_is_translated(kind: ErrorKind) -> None:
    """The failure keeps the kind's cause, its words, and whether somebody else may be asked."""
    failure = PeerFailedError.of(UpstreamError(kind, "why"))
    assert failure.cause is CAUSES[kind]
    assert failure.detail == f"{kind.value}: why"
    assert failure.untouched is OUTCOMES[kind].untouched
    assert failure.status == 0


def test_the_message_says_both() -> None:
    """As an exception it names cause and detail."""
    assert str(PeerFailedError(FragmentCause.STATUS, "status 500", status=500)) == "status: status 500"
