"""A student that embeds as its teacher does, so that every head of the teacher's bundle fits it.

It starts as parts of its teacher and comes near to the teacher's states of every token, to its vectors, and to what the
heads make of these. No label is read.
"""

import hashlib
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import nn
from torch.nn.functional import kl_div, linear, log_softmax

from .arrays import Tensors
from .augment import Augmenter
from .export import ActivationScale
from .pruning import WHOLE, StudentShape, pruned, worth
from .student import ScaleObserver, StudentEncoder, StudentStates
from .teacher import Teacher, TeacherTargets
from .tokens import SHORT, TokenWindow, padded, window_of

LONGER, LONG = window_of(256), window_of(512)
WORTH_ROWS, SCALE_ROWS = 320, 640
TOKENS_A_BATCH, MOST_ROWS = 1400, 48


@dataclass(frozen=True)
class DistillationSettings:
    """The settings of a distillation."""

    seed: int
    epochs: int = 8
    rate: float = 4e-4
    warm_up: float = 0.06
    weight_decay: float = 0.01
    vector_weight: float = 10.0
    state_weight: float = 0.3
    device: str = "cpu"


@dataclass
class Student:
    """The weights of a student, and the steps of its activations."""

    weights: Tensors
    scales: dict[str, ActivationScale]

    def save(self, path: Path) -> None:
        steps = {f"scale:{name}": np.array([scale.step, scale.zero]) for name, scale in self.scales.items()}
        spreads = {name: scale.spread for name, scale in self.scales.items()}
        steps |= {f"spread:{name}": spread for name, spread in spreads.items() if spread is not None}
        save_file(self.weights | steps, path)

    @classmethod
    def load(cls, path: Path) -> "Student":
        tensors = load_file(path)
        names = [name.removeprefix("scale:") for name in tensors if name.startswith("scale:")]
        scales = {}
        for name in names:
            step, zero = tensors[f"scale:{name}"]
            scales[name] = ActivationScale(float(step), int(zero), tensors.get(f"spread:{name}"))
        return cls({name: value for name, value in tensors.items() if ":" not in name}, scales)


@dataclass
class UnlabelledText:
    """A text to learn from, and as much of it as is read."""

    text: str
    window: TokenWindow = SHORT


class TextMixer:
    """Makes texts like prompts out of prompts: changed copies, spans, spans of two, words in another order."""

    def __init__(self, prompts: list[str], seed: int):
        self.prompts, self.draw, self.change = prompts, random.Random(seed), Augmenter(seed)

    def changed(self) -> str:
        return self.change(self.draw.choice(self.prompts))

    def piece(self) -> str:
        words, draw = self.draw.choice(self.prompts).split(" "), self.draw
        kind = draw.random()
        if kind < 0.6:
            return " ".join(self.span(words))
        if kind < 0.9:
            other = self.draw.choice(self.prompts).split(" ")
            return " ".join(words[:40]) + draw.choice([" ", "\n", ". ", ", ", "\n\n"]) + " ".join(self.span(other))
        return " ".join(draw.sample(words[:60], len(words[:60])))

    def span(self, words: list[str]) -> list[str]:
        size = min(max(2, int(len(words) * self.draw.uniform(0.2, 0.9))), 60, len(words))
        start = self.draw.randrange(len(words) - size + 1)
        return words[start : start + size]


def unlabelled(prompts: list[str], questions: list[str], seed: int) -> list[UnlabelledText]:
    """Returns prompts, as many changed copies and pieces, and questions; long ones are read in three windows."""
    prompts, draw = list(dict.fromkeys(prompts)), random.Random(seed)
    mixer = TextMixer(prompts, seed)
    texts = [UnlabelledText(text, draw.choice([SHORT, SHORT, SHORT, LONG])) for text in prompts]
    texts += [UnlabelledText(mixer.changed()) for _ in prompts]
    texts += [UnlabelledText(piece) for piece in (mixer.piece() for _ in prompts) if piece.strip()]
    texts += [UnlabelledText(text, draw.choice([SHORT, SHORT, LONGER, LONG])) for text in dict.fromkeys(questions)]
    draw.shuffle(texts)
    return texts


class Distillation:
    """One student's training."""

    def __init__(self, teacher: Teacher, rows: list[list[int]], settings: DistillationSettings):
        self.teacher, self.rows, self.settings = teacher, rows, settings
        self.order, self.device = random.Random(settings.seed), settings.device
        self.targets: TeacherTargets | None = None
        self.deviations = torch.ones(1, device=self.device)
        self.heads = {
            name: (torch.tensor(weight, device=self.device), torch.tensor(bias, device=self.device))
            for name, (weight, bias) in teacher.heads().items()
        }

    def run(self, shape: StudentShape) -> Student:
        student = StudentEncoder(self.start(shape)).to(self.device)
        student.scales = self.scales(student)
        self.learn(student)
        return Student(student.weights(), student.scales)

    def start(self, shape: StudentShape) -> Tensors:
        weights = self.teacher.weights()
        if shape == WHOLE:
            return weights
        sample = self.order.sample(self.rows, min(WORTH_ROWS, len(self.rows)))
        worths = worth(weights, sorted((row[:64] for row in sample), key=len), self.settings.seed)
        return pruned(weights, worths, shape)

    def scales(self, student: StudentEncoder) -> dict[str, ActivationScale]:
        """Returns the steps of activations, measured on rows where nothing is rounded."""
        student.scales, observer = {}, ScaleObserver(student.weights())
        student.probe = observer
        rows = sorted(self.rows[:SCALE_ROWS], key=len)
        with torch.no_grad():
            for at in range(0, len(rows), 16):
                ids, mask = (torch.from_numpy(array).to(self.device) for array in padded(rows[at : at + 16]))
                student(ids, mask)
        student.probe = lambda _name, x: x
        return observer.scales()

    def learn(self, student: StudentEncoder) -> None:
        """Learns; steps of activations are measured again after a tenth of the way, when the student has settled.

        Without epochs the student stays what it was made of.
        """
        settings = self.settings
        if not settings.epochs:
            return
        self.targets = self.teacher.targets(self.rows)
        sample = self.targets.states[:: max(1, len(self.targets.states) // 4096)].astype(np.float32)
        self.deviations = torch.tensor(sample.std(0) + 1e-3, device=self.device)
        tuned = [parameter for parameter in student.parameters() if parameter.requires_grad]
        descent = torch.optim.AdamW(tuned, lr=settings.rate, weight_decay=settings.weight_decay, fused=True)
        steps, step, clock, lately = settings.epochs * len(self.batches()), 0, time.monotonic(), np.zeros(3)
        for epoch in range(settings.epochs):
            for batch in self.batches():
                share = self.progress(step, steps)
                for group in descent.param_groups:
                    group["lr"] = settings.rate * min((step + 1) / (settings.warm_up * steps), 1 - share + 1e-3)
                parts = self.loss(student, batch)
                descent.zero_grad()
                (settings.vector_weight * parts[0] + settings.state_weight * parts[1] + parts[2]).backward()
                nn.utils.clip_grad_norm_(tuned, 1.0)
                descent.step()
                step += 1
                lately = 0.98 * lately + 0.02 * np.array([part.item() for part in parts])
                if step == steps // 10:
                    student.scales = self.scales(student)
            took = f"{time.monotonic() - clock:.0f} s, CPU {time.process_time():.0f} s"
            print(f"epoch {epoch + 1}/{settings.epochs}: {lately.round(4)}, {took}", flush=True)

    def progress(self, step: int, steps: int) -> float:
        return min(1.0, step / steps)

    def loss(self, student: StudentEncoder, batch: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns how far vectors, states and what heads make of them are from the teacher's."""
        assert self.targets, "learning begins with them"
        ids, mask = (torch.from_numpy(array).to(self.device) for array in padded([self.rows[row] for row in batch]))
        found: StudentStates = student(ids, mask)
        wanted = torch.tensor(self.targets.vectors[batch], device=self.device)
        apart = (1 - (found.vectors * wanted).sum(1)).mean()
        states = np.zeros(tuple(found.tokens.shape), np.float32)
        for place, row in enumerate(batch):
            states[place, : len(self.rows[row])] = self.targets.of(row)
        gaps = ((found.tokens - torch.tensor(states, device=self.device)) / self.deviations).pow(2)
        shown = mask.unsqueeze(-1)
        states_loss = (gaps * shown).sum() / (shown.sum() * gaps.shape[2])
        opinions = torch.zeros((), device=self.device)
        for weight, bias in self.heads.values():
            own, right = (log_softmax(linear(vectors, weight, bias), 1) for vectors in (found.vectors, wanted))
            opinions = opinions + kl_div(own, right, log_target=True, reduction="batchmean")
        return apart, states_loss, opinions

    def batches(self) -> list[list[int]]:
        """Returns batches of rows of like length, of about as many tokens each."""
        order, batches = self.order.sample(range(len(self.rows)), len(self.rows)), []
        for at in range(0, len(order), 1600):
            pool, start = sorted(order[at : at + 1600], key=lambda row: len(self.rows[row])), 0
            while start < len(pool):
                longest = len(self.rows[pool[min(len(pool) - 1, start + MOST_ROWS // 2)]])
                size = max(4, min(MOST_ROWS, TOKENS_A_BATCH // longest))
                batches.append(pool[start : start + size])
                start += size
        self.order.shuffle(batches)
        return batches


def distilled(work: Path, run: Distillation, shape: StudentShape) -> Student:
    """Returns a student, which is trained unless the work folder has it."""
    key = hashlib.sha256(repr((shape, run.settings, run.rows)).encode() + run.teacher.model.SerializeToString())
    kept = work / f"student-{shape.name}-{key.hexdigest()[:10]}.safetensors"
    if not kept.exists():
        run.run(shape).save(kept)
    return Student.load(kept)
