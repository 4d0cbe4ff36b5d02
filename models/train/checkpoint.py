"""What a checkpoint's outputs mean: the kind of its head, and names for its labels."""

import re
import sys
from dataclasses import dataclass, field
from typing import Any

NAME = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
MULTI_LABEL, REGRESSION = "multi_label_classification", "regression"


@dataclass
class HeadMeaning:
    """A head as the manifest describes it; `aliases` has the checkpoint's own labels where these are no names."""

    kind: str
    labels: list[str]
    aliases: dict[str, str] = field(default_factory=dict)

    @property
    def logits(self) -> int:
        return len(self.labels) - (self.kind == "ordinal")


def note(text: str) -> None:
    """Tells the user what was decided without being asked for."""
    print(f"models.train: {text}", file=sys.stderr)


def kind_of(problem: str | None, logits: int, wanted: str | None) -> str:
    """Returns the kind of a head: the wanted one, else what the checkpoint was trained for."""
    if wanted:
        return wanted
    if logits == 1:
        if problem == REGRESSION:
            raise SystemExit(
                "the checkpoint's problem_type is regression: its one output is a number and no logit, so it says "
                "nothing of probabilities. If it is meant as the logit of a sigmoid after all, say --kind ordinal"
            )
        note("one logit: a sigmoid says how probable the second of two labels is (kind ordinal)")
        return "ordinal"
    if problem == MULTI_LABEL:
        note(f"problem_type is {MULTI_LABEL}: each label gets a sigmoid of its own (kind independent)")
        return "independent"
    if problem == REGRESSION:
        raise SystemExit(f"the checkpoint's problem_type is regression: its {logits} outputs are no logits of labels")
    return "multinomial"


def meaning(config: Any, kind: str | None, labels: list[str] | None) -> HeadMeaning:
    """Returns what the logits of a Hugging Face checkpoint mean."""
    logits = config.num_labels
    own = [str(config.id2label[index]) for index in range(logits)]
    kind = kind_of(config.problem_type, logits, kind)
    if labels is None and all(label == f"LABEL_{index}" for index, label in enumerate(own)):
        order = f"in the order of the logits (0 to {logits - 1})"
        note(f"the checkpoint does not name its labels; --labels A,B,... does, {order}")
    if labels is None and kind == "ordinal" and logits == 1:
        labels = [f"not-{own[0]}", own[0]]
    return named(kind, labels or own, logits)


def named(kind: str, labels: list[str], logits: int) -> HeadMeaning:
    """Returns a head whose labels are names; refuses labels that the logits do not fit."""
    names = [label if NAME.fullmatch(label) else name_of(label, index) for index, label in enumerate(labels)]
    for name in names:
        if names.count(name) > 1:
            raise SystemExit(f"two labels would be called {name!r}: name them by --labels A,B,...")
    aliases = {label: name for label, name in zip(labels, names, strict=True) if label != name}
    for label, name in aliases.items():
        note(f"the label {label!r} is no name and is called {name!r} in policies; data sets may use both")
    head = HeadMeaning(kind, names, aliases)
    if len(names) < 2:
        raise SystemExit(f"a head needs two labels or more, not {names}: name them by --labels A,B,...")
    if head.logits != logits:
        cure = f"name them by --labels, as many as a head of kind {kind} with {logits} logits has"
        if kind == "ordinal" and logits == len(names):
            cure = "an ordinal head has a logit less than labels, and one a label is a softmax: leave --kind out"
        needs = f"{len(names)} labels ({', '.join(names)}) of kind {kind} need {head.logits} logits"
        raise SystemExit(f"{needs}, and the checkpoint gives {logits}: {cure}")
    note(f"labels in the order of the logits: {', '.join(names)}")
    return head


def name_of(label: str, index: int) -> str:
    """Returns the nearest name: other characters become dashes."""
    name = re.sub(r"[^A-Za-z0-9._:/-]+", "-", label).strip("-")[:128]
    return name or f"label-{index}"
