"""The form of JSON that commands print: its keys stay, and a change of what they mean is a new
number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SCHEMA = 1


def with_schema(found: Mapping[str, Any]) -> dict[str, Any]:
    """Plain data with the number of its form under ``schema``, which an output of that name takes
    the place of."""
    return {"schema": SCHEMA, **found}
