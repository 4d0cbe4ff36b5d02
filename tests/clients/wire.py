"""Types of what goes over the wire."""

from typing import Any

JsonObject = dict[str, Any]
ServerEvent = tuple[str | None, str]  # the name of a server-sent event, where its API has names, and its data
