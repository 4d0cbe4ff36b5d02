"""The cells of the matrix: what came of a client's capability before an upstream."""

from __future__ import annotations

from dataclasses import dataclass, field


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
    def failed(self) -> bool:
        return bool(self.problem)

    @property
    def is_translated(self) -> bool:
        return self.own != self.upstream
