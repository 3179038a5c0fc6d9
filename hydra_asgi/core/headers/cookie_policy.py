"""Which cookies of a request a service gets, where the site keeps a list."""

from collections.abc import Mapping, Set

from hydra_asgi.core.headers.header_fields import Fields

__all__ = ["allowed_for", "only_cookies"]


def allowed_for(rules: Mapping[str, Set[str]], service: str) -> Set[str] | None:
    """The names a service may see: by its own rule, else by that for `*`; None lets all of them through."""
    return rules.get(service, rules.get("*"))


def only_cookies(fields: Fields, allowed: Set[str]) -> Fields:
    """The fields with no other cookies than those; a `Cookie` field without any is left out.

    Args:
        fields: of a request, with lower-case names.
        allowed: names, whose case counts (RFC 6265 section 5.4).
    """
    names = {name.encode("latin-1", "replace") for name in allowed}
    kept: Fields = []
    for name, value in fields:
        if name != b"cookie":
            kept.append((name, value))
            continue
        crumbs = [crumb.strip(b" \t") for crumb in value.split(b";")]
        if ours := [crumb for crumb in crumbs if crumb.partition(b"=")[0].strip(b" \t") in names]:
            kept.append((name, b"; ".join(ours)))
    return kept
