"""Names that services may have."""

import pytest

from hydra_asgi.core.service_name import RESERVED, ServiceNameError, check_service_name
from hydra_asgi.errors import HydraError


@pytest.mark.parametrize("name", ["a", "orderService", "Orders-2.beta_x~y", "a" * 63, "selfish", "hh"])
def test_a_name_of_unreserved_characters_is_returned_unchanged(name: str) -> None:
    """A name is a letter and up to 62 unreserved characters."""
    assert check_service_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "1a",
        "a" * 64,
        "a:b",
        "*",
        "{x}",
        "../x",
        "a/b",
        "a b",
        "a\x00",
        "a\r\nb",
        "a\n",
        "ord\u0435rs",
        "a\u202eb",
        "-a",
        ".a",
    ],
)
def test_anything_else_is_refused(name: str) -> None:
    """Separators, controls, other scripts and wrong lengths are refused."""
    with pytest.raises(ServiceNameError, match="is not a service name"):
        check_service_name(name)


@pytest.mark.parametrize("name", [*sorted(RESERVED), "Self", "STATIC", "H"])
def test_reserved_names_are_refused_in_any_case(name: str) -> None:
    """Names that mean something of ours in a path or a tag are refused."""
    with pytest.raises(ServiceNameError, match="is reserved"):
        check_service_name(name)


def test_the_message_is_capped_and_the_error_is_ours() -> None:
    """A name of ten thousand characters does not fill a log, and a caller may catch ValueError or HydraError."""
    with pytest.raises(ServiceNameError) as caught:
        check_service_name("x" * 10_000)
    assert len(str(caught.value)) < 300
    assert isinstance(caught.value, HydraError)
    assert isinstance(caught.value, ValueError)
