"""Requests to scripted vendors, held against the types of the vendors' own SDKs."""

from __future__ import annotations

from typing import Any

import pydantic

from translation.plays import UnfitError
from translation.sdk_types import REQUESTS, known_members


def validate(api: str, body: dict[str, Any]) -> None:
    """Raises what is wrong with a body."""
    try:
        REQUESTS[api].validate_python(known_members(api, body))
    except pydantic.ValidationError as error:
        problems = [f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()]
        raise UnfitError("not of the SDK's types: " + "; ".join(problems[:6])) from error
