"""The cells of the matrix: what came of a client's capability before an upstream."""

from __future__ import annotations

from dataclasses import dataclass, field

# Cells that do not hold yet, and why: the page shows them. One that holds again fails the run, and so does one that is
# named here no more.
KNOWN: dict[tuple[str, str, str], str] = {}


@dataclass(frozen=True)
class Cell:
    """One client, one upstream, one capability."""

    client: str
    own: str
    upstream: str
    capability: str
    problem: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def known(self) -> str:
        """Returns why the cell does not hold yet, where that is known."""
        return KNOWN.get((self.client, self.upstream, self.capability), "")

    @property
    def failed(self) -> bool:
        return bool(self.problem) != bool(self.known)

    @property
    def is_translated(self) -> bool:
        return self.own != self.upstream
