"""The errors of hydra_asgi, one tree; branches are cut by who can act.

    HydraError
    ├── ConfigurationError    the operator: an option or an environment variable is wrong
    ├── TemplateError         the author of a route: a path template we cannot accept
    ├── BindingError          the author of a page: an import or export list we cannot read
    ├── LendingError          the author of a page: a value that fragments cannot be lent, or a request of no page
    ├── PickError             the author of a page: too large or too deep to take one element out of it
    ├── RefusedError          the caller of the control plane: refused with a status and a reason
    ├── UpstreamError         the network or another instance; carries a closed `ErrorKind`
    │   └── ResponseCutError  the same after the response has started: the connection to the client has to break
    └── StoreError            the shared store did not answer, or refused

A message names the thing, the value and the way out. Library errors are translated where the library is called,
so nothing above `backends/` ever sees a foreign exception.
"""

from hydra_asgi.core.error_kind import ErrorKind

__all__ = [
    "BindingError",
    "ConfigurationError",
    "HydraError",
    "LendingError",
    "PickError",
    "RefusedError",
    "ResponseCutError",
    "StoreError",
    "TemplateError",
    "UpstreamError",
]


class HydraError(Exception):
    """The root: catches everything this library raises on purpose."""


class ConfigurationError(HydraError):
    """An option or environment variable has a value we cannot start with."""


class TemplateError(HydraError, ValueError):
    """A path template is not in our syntax, or asks for something no route may ask for."""


class BindingError(HydraError, ValueError):
    """An `imports` or `exports` list is not a list of names with optional aliases."""


class LendingError(HydraError, ValueError):
    """A page lends its fragments a value that cannot travel to them, or lends where there is no page."""


class PickError(HydraError):
    """A rendered page is larger or deeper than we parse to take one element out of it."""


class RefusedError(HydraError):
    """A control-plane call is refused.

    Args:
        status: the HTTP status that tells the caller most, 400 to 499, or 503.
        reason: one sentence for the caller's log; names the field and what was expected, never a secret.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class UpstreamError(HydraError):
    """Another instance could not be asked, or its answer could not be used.

    Args:
        kind: which of the known ways it failed; drives status, retry and `Proxy-Status`.
        detail: what happened, for logs; never shown to the public.
    """

    def __init__(self, kind: ErrorKind, detail: str = "") -> None:
        super().__init__(f"{kind.value}: {detail}" if detail else kind.value)
        self.kind = kind
        self.detail = detail


class ResponseCutError(UpstreamError):
    """An instance's response broke off after its head was sent on.

    It leaves the application on purpose: servers answer an exception in the middle of a response by breaking the
    connection, which is how the client learns that the body is not whole (RFC 9112 section 8).
    """


class StoreError(HydraError):
    """The shared store could not be reached in time or refused the command."""
