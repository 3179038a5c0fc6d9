"""Needs something that is not there."""

import not_installed_anywhere  # noqa: F401  # the point of this module
