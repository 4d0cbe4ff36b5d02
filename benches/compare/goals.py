"""The goals that a comparison can tell, each beside its figure, also where it is missed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from figures import Figures, Ratio
from results import TRANSLATION

# What the tables below were before the work began: two cores with AVX-512 VNNI, the same bodies (November 2026).
CASCADE_BEFORE_US = 5620.0
START_BEFORE = {"pointsman-cascade": 0.75, "pointsman-rule": 0.13}


@dataclass
class Goal:
    """A figure that is to be no more than a limit."""

    name: str
    limit: float
    unit: str
    figure: Callable[[Figures], float | Ratio | None]


GOALS = [
    Goal(
        "CPU per request with a rule, beside a bare Pingora that replaces `model` (16 connections)",
        1.0,
        "x",
        lambda figures: figures.cpu_ratio("pointsman-rule", "pingora-rewrite", 16),
    ),
    Goal(
        "CPU per request, lexical (16 connections)", 110.0, "us", lambda figures: figures.cpu("pointsman-lexical", 16)
    ),
    Goal(
        f"CPU per request, cascade (16 connections): 0.2 of {CASCADE_BEFORE_US:.0f} us",
        CASCADE_BEFORE_US * 0.2,
        "us",
        lambda figures: figures.cpu("pointsman-cascade", 16),
    ),
    Goal(
        "CPU per event of a stream, beside a bare Pingora that passes it",
        1.5,
        "x",
        lambda figures: figures.event_ratio("pointsman-rule", "pingora-pass"),
    ),
    Goal(
        "RSS without a classifier (64 connections)", 35.0, "MB", lambda figures: figures.resident("pointsman-rule", 64)
    ),
    Goal(
        "RSS with the default bundle (64 connections)",
        150.0,
        "MB",
        lambda figures: figures.resident("pointsman-cascade", 64),
    ),
    Goal(
        f"first answer after a start, with the default bundle: half of {START_BEFORE['pointsman-cascade']} s",
        START_BEFORE["pointsman-cascade"] / 2,
        "s",
        lambda figures: figures.cold("pointsman-cascade"),
    ),
    Goal(
        "first answer after a start, without a classifier",
        START_BEFORE["pointsman-rule"],
        "s",
        lambda figures: figures.cold("pointsman-rule"),
    ),
    Goal(
        "CPU per request, translated beside untranslated (2 KB with tools, 16 connections)",
        1.3,
        "x",
        lambda figures: figures.cpu_ratio("pointsman-translated", "pointsman-untranslated", 16, TRANSLATION),
    ),
    Goal(
        "added p50, translated beside untranslated (2 KB with tools, one connection)",
        1.3,
        "x",
        lambda figures: figures.added_ratio("pointsman-translated", "pointsman-untranslated", 1, TRANSLATION),
    ),
    Goal(
        "CPU per event of a stream, translated more than untranslated",
        1.5,
        "us",
        lambda figures: figures.event_cost("pointsman-translated", "pointsman-untranslated", TRANSLATION),
    ),
    Goal(
        "CPU per translated request, beside Switchyard's",
        0.5,
        "x",
        lambda figures: figures.cpu_ratio("pointsman-translated", "switchyard-translated", 16, TRANSLATION),
    ),
    Goal(
        "CPU per translated request, beside LiteLLM's",
        0.02,
        "x",
        lambda figures: figures.cpu_ratio("pointsman-translated", "litellm-translated", 16, TRANSLATION),
    ),
    Goal(
        "largest difference of GuideLLM and AIPerf from our load generator, same streams",
        10.0,
        "%",
        lambda figures: figures.generators_difference(),
    ),
]


def rows(figures: Figures) -> list[list[str]]:
    """Returns goal, limit, figure and verdict of each."""
    return [row(goal, goal.figure(figures)) for goal in GOALS]


def row(goal: Goal, figure: float | Ratio | None) -> list[str]:
    limit = f"<= {goal.limit:g} {goal.unit}"
    if figure is None:
        return [goal.name, limit, "not measured", "-"]
    value = figure.median if isinstance(figure, Ratio) else figure
    digits = {"x": 2, "s": 2, "%": 1}.get(goal.unit, 0) + (goal.limit < 0.1 or (goal.unit == "us" and goal.limit < 10))
    shown = f"{value:.{digits}f} {goal.unit}"
    if isinstance(figure, Ratio):
        shown += f" ({figure.least:.{digits}f} to {figure.most:.{digits}f})"
    return [goal.name, limit, shown, "reached" if value <= goal.limit else "**missed**"]
