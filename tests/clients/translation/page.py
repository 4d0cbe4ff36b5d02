"""The page of the matrix, docs/translation-matrix.md: rendered from a run whose every cell holds."""

from __future__ import annotations

import difflib
import json
import pathlib

from translation.cells import KNOWN, Cell
from translation.checks import CAPABILITIES

HERE = pathlib.Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "translation-matrix.md"
REASONS = list(dict.fromkeys(KNOWN.values()))
SHOWN = {
    "anthropic", "google-genai", "instructor", "langchain-anthropic", "langchain-openai", "openai", "pydantic-ai-slim",
}  # fmt: skip
COLUMNS = {
    "text": "text",
    "stream": "stream",
    "tools": "tool loop",
    "tools_streamed": "tool loop, streamed",
    "parallel": "parallel tools",
    "image": "image",
    "structured": "structured output",
    "thinking": "thinking",
    "moved": "change of vendor",
    "errors": "errors",
    "broken": "broken streams",
    "cancelled": "cancellation",
}
HEAD = """\
# Translation: the public SDKs

Each SDK below talks to an upstream that speaks another vendor's API, through Pointsman. Every cell is a check that
`make clients-translation` runs against the real binary. The page is rendered from the run, and a page that says
something else fails.

The upstreams are strict. A translated body is validated against the vendor's own SDK types, and what these do not know
is a 400. Another vendor's seal of a thought is a 400 as well; so are a key in the wrong field and the header fields of
another vendor.

"""
LEGEND = """
| column | what holds |
|---|---|
| text | the answer, why it ended, and the usage in the SDK's terms; a system prompt |
| stream | the same, put together by the SDK |
| tool loop | a tool is asked for, its result comes back under the right id, the answer ends the loop; also with streams |
| parallel tools | two calls of one tool in one turn, each with its own result |
| image | a PNG arrives with its media type and its size |
| structured output | a JSON schema, through the SDK's own helper; instructor: by each of its modes |
| thinking | the thought is shown where the SDK has a place for it, and its seal comes back in the loop; (1) the SDK does not send thoughts back, or the upstream does not seal them, and the loop ends without |
| change of vendor | a loop with thinking that began at this upstream goes on at another, whose ids and seals are others: chat at gemini, responses at chat, messages at responses, gemini at messages |
| errors | 400, 401, 429 with its Retry-After, 500, 529: the SDK's error of that status, with the upstream's words |
| broken streams | one that is cut and one with an error in the middle do not look whole |
| cancellation | the client leaves in the middle of a stream, and the upstream sees it |

"-": the SDK has nothing of the kind, or hides what there is to check; or nothing is translated there.
"""


def mark(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    if cell.known:
        return f"no ({2 + REASONS.index(cell.known)})"
    return "yes (1)" if "without" in cell.notes else "yes"


def versions() -> str:
    lines = (line.split("==") for line in (HERE / "requirements.txt").read_text("utf-8").splitlines() if "==" in line)
    python = ", ".join(f"{name} {version}" for name, version in lines if name in SHOWN)
    packages = json.loads((HERE / "node" / "package.json").read_text("utf-8"))["dependencies"]
    node = ", ".join(f"{name} {version}" for name, version in packages.items() if name != "zod")
    return f"PyPI: {python}.\nnpm: {node}.\n\n"


def rendered(cells: list[Cell]) -> str:
    shown = [cell for cell in cells if cell.is_translated or cell.capability == "moved"]
    at = {(cell.client, cell.upstream, cell.capability): cell for cell in shown}
    lines = [f"| SDK | upstream | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 2) + "|"]
    for client, upstream in dict.fromkeys((cell.client, cell.upstream) for cell in shown):
        marks = [mark(at.get((client, upstream, capability))) for capability in CAPABILITIES]
        lines.append(f"| {client} | {upstream} | {' | '.join(marks)} |")
    reasons = "".join(f"\n({2 + index}): {reason}.\n" for index, reason in enumerate(REASONS))
    return HEAD + versions() + "\n".join(lines) + "\n" + LEGEND + reasons


def difference(old: str, new: str) -> str:
    """The lines that differ: what a machine that cannot write the page says of it."""
    return "\n".join(
        difflib.unified_diff(old.splitlines(), new.splitlines(), "committed", "this run", n=0, lineterm="")
    )


def check(cells: list[Cell], *, bless: bool) -> bool:
    """Writes the page, or tells whether it says something else than the run."""
    text = rendered(cells)
    if bless:
        PAGE.write_text(text, "utf-8")
        return False
    old = PAGE.read_text("utf-8") if PAGE.exists() else ""
    if old == text:
        return False
    print(f"{PAGE.name} is stale: `make clients-translation BLESS=--bless` writes it")
    print(difference(old, text))
    return True
