"""The name that a crystal's file gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ID_KEYS = ("material_id", "id", "jid", "mp_id", "ID", "name")


def given_id(info: Mapping[str, Any], key: str | None = None) -> str | None:
    """Return what stands under the key, else under the first of the usual ones that is there; None for nothing."""
    return next((str(info[k]) for k in ((key,) if key is not None else ID_KEYS) if k in info), None)
