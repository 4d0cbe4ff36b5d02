"""Chores that an agent does in one loop of tools: eight turns, two of them with two calls, one with a failure.

Each shell command leaves a line in a log, so that a call that is run twice, or never, shows.
"""

from __future__ import annotations

from dataclasses import dataclass

ASK = "Do the chores of this folder, one after another."
DONE = "All eight chores are done."
NOTES = 'Grüße, "quoted" \\ and back\n\ttabbed — 日本\n'
PIXEL = "pixel.png"
LOG = "log.txt"


@dataclass(frozen=True)
class Chore:
    """A call by what it does, and what its result must hold; an image is looked for where `holds` is `IMAGE`."""

    kind: str  # read | shell | save | view
    given: str
    holds: str = ""


def logged(word: str, command: str) -> str:
    return f"echo {word} >> {LOG}; {command}"


TURNS: tuple[tuple[Chore, ...], ...] = (
    (Chore("read", "main.rs", 'println!("hello")'),),
    (Chore("shell", logged("two", f"cat {LOG}"), "two"),),
    (Chore("save", "notes.txt"),),
    (
        Chore("shell", logged("four-a", "echo done-a"), "done-a"),
        Chore("shell", logged("four-b", "echo done-b"), "done-b"),
    ),
    (Chore("shell", logged("five", "echo broken >&2; exit 3"), "broken"),),
    (Chore("view", PIXEL),),
    (Chore("read", "notes.txt", 'Grüße, "quoted" \\ and back'), Chore("shell", logged("seven", "seq 1 300"), "299")),
    (Chore("shell", logged("eight", "echo eight"), "eight"),),
)
# What the log holds when each command was run once; calls of one turn may come in any order.
LOGGED = sorted(("two", "four-a", "four-b", "five", "seven", "eight"))
# The turn at which the model changes: four turns of the first vendor's are in the history then.
CHANGE = 4
