"""`python -m models.train encoder` end to end on the CPU: tiny encoders of several kinds, bundles that are verified.

Needs the packages of models/train/requirements.txt, and a pointsman binary for what verifies and measures: `make
train-check`.
"""

import contextlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import encoders
from models.train import __main__ as command_line
from models.train.classification import command, objective, rows, training
from models.train.classification.network import HeadShape, load

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("POINTSMAN", ROOT / "target" / "debug" / "pointsman"))
LEVELS = list(encoders.LEVELS)
FAST = ["--epochs", "3", "--batch", "16", "--rate", "5e-3", "--head-rate", "1e-2", "--device", "cpu", "--threads", "1"]


def prompts(count: int, seed: int) -> list[dict[str, Any]]:
    """Returns rows whose level one word tells; the higher a level, the rarer."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        [level] = draw.choices(LEVELS, [8, 4, 2, 1])
        words = [draw.choice(encoders.LEVELS[level]), *draw.choices(encoders.FILLERS, k=draw.randint(2, 12))]
        draw.shuffle(words)
        found.append({"prompt": " ".join(words), "label": level})
    return found


def weight_bytes(bundle: Path) -> int:
    """Returns what the constants of a bundle's graph take."""
    graph = onnx.load(bundle / "model.onnx").graph
    return sum(onnx.numpy_helper.to_array(tensor).nbytes for tensor in graph.initializer)


class EncoderTests(unittest.TestCase):
    """The command as people run it, within this process."""

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.data = self.write("rows.jsonl", prompts(320, 1))
        self.validation = self.write("validation.jsonl", prompts(80, 2))

    def write(self, name: str, lines: list[dict[str, Any]]) -> Path:
        path = self.folder / name
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
        return path

    def run_encoder(self, base: Path, *more: str, data: Path | None = None) -> tuple[Path, str]:
        """Returns the bundle's folder and what was printed."""
        out = self.folder / "bundle"
        given = ["encoder", "--base", str(base), "--data", str(data or self.data), "--out", str(out)]
        given += ["--work", str(self.folder / "work"), "--pointsman", str(BINARY), *FAST, *more]
        arguments = command_line.parser().parse_args(given)
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            command.run(arguments)
        return out, said.getvalue()

    def manifest(self, out: Path) -> dict[str, Any]:
        loaded: dict[str, Any] = yaml.safe_load((out / "bundle.yaml").read_text("utf-8"))
        return loaded

    def test_a_deberta_becomes_a_bundle_that_is_verified_and_judges_new_rows(self) -> None:
        base = encoders.write(self.folder / "deberta", encoders.deberta())
        out, said = self.run_encoder(
            base, "--validation", str(self.validation), "--levels", ",".join(LEVELS), "--head", "complexity",
            "--pooling", "cls", "--hidden", "16", "--class-weights", "sqrt", "--batch", "8", "--accumulation", "2",
            "--epochs", "8", "--patience", "4",
        )  # fmt: skip
        manifest = self.manifest(out)
        self.assertIn("bundle: ok", said)
        self.assertEqual(manifest["heads"][0]["labels"], LEVELS)
        self.assertGreater(manifest["metrics"]["validation"]["macro_f1"], 0.8, said)
        self.assertLess(manifest["metrics"]["validation"]["parity"]["largest_difference"], 1e-4)
        curves = (out / "curves.csv").read_text("utf-8").splitlines()
        self.assertEqual(len(curves), 1 + manifest["metrics"]["epochs"])
        self.assertTrue((out / "curves.svg").read_text("utf-8").startswith("<?xml"))
        for column in ("train_loss", "validation_macro_precision", "validation_macro_recall", "train_macro_f1"):
            self.assertIn(column, curves[0])
        newer = self.write("newer.jsonl", prompts(60, 3))
        run = subprocess.run(
            [BINARY, "eval", "--bundle", out, "--head", "complexity", "--data", newer, "--json"],
            check=True,
            capture_output=True,
        )
        self.assertGreater(json.loads(run.stdout)["accuracy"], 0.8)

    def test_other_encoders_are_exported_and_verified_too(self) -> None:
        for make in (encoders.distilbert, encoders.modernbert, encoders.bert):
            with self.subTest(make.__name__):
                limit = 64 if make is encoders.bert else 512
                base = encoders.write(self.folder / make.__name__, make(), limit)
                out, said = self.run_encoder(base, "--labels", ",".join(LEVELS), "--epochs", "1")
                self.assertIn("bundle: ok", said)
                self.assertEqual(self.manifest(out)["tokenizer"]["max_tokens"], limit)

    def test_eight_bit_weights_are_verified_and_smaller(self) -> None:
        base = encoders.write(self.folder / "deberta", encoders.deberta())
        levels = ["--levels", ",".join(LEVELS)]
        whole = weight_bytes(self.run_encoder(base, *levels)[0])
        out, said = self.run_encoder(base, *levels, "--int8")
        manifest = self.manifest(out)
        self.assertIn("resumed after epoch", said)
        self.assertIn("bundle: ok", said)
        self.assertEqual(manifest["encoder"]["precision"], "int8")
        self.assertLess(weight_bytes(out), 0.6 * whole)
        self.assertLess(manifest["metrics"]["validation"]["parity"]["largest_difference"], 0.1)

    def test_drawn_rows_sixteen_bits_and_frozen_embeddings_end_in_a_bundle_too(self) -> None:
        base = encoders.write(self.folder / "distilbert", encoders.distilbert())
        heavy = [row | {"weight": 1 + index % 3} for index, row in enumerate(prompts(160, 7))]
        data = self.write("heavy.jsonl", heavy)
        for sampling in ("balanced", "weight"):
            out, said = self.run_encoder(
                base, "--levels", ",".join(LEVELS), "--sampling", sampling, "--precision", "bf16",
                "--freeze-embeddings", "--label-smoothing", "0.1", "--epochs", "1", data=data,
            )  # fmt: skip
            self.assertIn("bundle: ok", said)
            record = self.manifest(out)["training"]
            self.assertEqual((record["settings"]["sampling"], record["settings"]["precision"]), (sampling, "bf16"))
            [work] = (self.folder / "work").glob("*/best.pt")
            trained = torch.load(work, weights_only=True)["network"]["encoder.embeddings.word_embeddings.weight"]
            given = load(base, HeadShape(4)).encoder.embeddings.word_embeddings.weight
            self.assertTrue(torch.equal(trained, given))
            work.unlink()

    def test_a_training_that_was_cut_off_ends_with_the_same_weights(self) -> None:
        base = encoders.write(self.folder / "distilbert", encoders.distilbert())
        options = ["--levels", ",".join(LEVELS), "--patience", "0"]
        self.run_encoder(base, *options)
        [whole] = (self.folder / "work").glob("*/last.pt")
        weights = torch.load(whole, weights_only=True)["network"]
        whole.unlink()

        kept = training.keep

        def cut_off(path: Path, state: dict[str, Any]) -> None:
            kept(path, state)
            if path.name == "last.pt":
                raise KeyboardInterrupt

        training.keep = cut_off
        with self.assertRaises(KeyboardInterrupt):
            self.run_encoder(base, *options)
        training.keep = kept
        _, said = self.run_encoder(base, *options)
        self.assertIn("resumed after epoch 1", said)
        again = torch.load(whole, weights_only=True)["network"]
        self.assertTrue(all(torch.equal(weights[name], again[name]) for name in weights))

    def test_an_epoch_without_gain_ends_the_training_and_the_best_one_is_kept(self) -> None:
        base = encoders.write(self.folder / "distilbert", encoders.distilbert())
        out, _ = self.run_encoder(
            base, "--levels", ",".join(LEVELS), "--epochs", "30", "--patience", "1", "--rate", "0", "--head-rate", "0"
        )
        curve = json.loads((out / "curves.json").read_text("utf-8"))
        self.assertEqual([epoch["best"] for epoch in curve], [True, False])

    def test_rows_that_nothing_may_learn_from_are_left_out_and_counted(self) -> None:
        base = encoders.write(self.folder / "distilbert", encoders.distilbert())
        lines = prompts(120, 4)
        held_out = [row | {"split": "held_out"} for row in prompts(30, 5)]
        twin = {"prompt": f"{lines[0]['prompt']} !", "label": lines[0]["label"], "split": "validation"}
        others = [row | {"split": "validation"} for row in prompts(40, 6)]
        data = self.write("parts.jsonl", [*lines, *held_out, twin, *others])
        out, said = self.run_encoder(base, "--levels", ",".join(LEVELS), "--epochs", "1", data=data)
        training_record = self.manifest(out)["training"]
        self.assertIn("30 held out", said)
        self.assertEqual(training_record["left_out"]["held out"], 30)
        self.assertGreaterEqual(training_record["left_out"]["in validation too"], 1)
        self.assertEqual(training_record["validation_rows"], 41)
        only = self.write("only.jsonl", held_out)
        with self.assertRaisesRegex(SystemExit, "0 rows to learn from.*30 held out"):
            self.run_encoder(base, data=only)

    def test_bad_rows_are_refused_with_file_and_line(self) -> None:
        good = '{"prompt": "hello", "label": "a"}\n'
        cases = {
            '{"prompt": "x", "label": 1.5}': "bad.jsonl line 2: 1.5 is no label",
            '{"prompt": "x"}': "bad.jsonl line 2: missing field `label`",
            '{"label": "a"}': "bad.jsonl line 2: missing field `prompt`",
            '{"prompt": "x", "label": }': "bad.jsonl line 2, column 26: no JSON",
            '["x"]': "bad.jsonl line 2: no object",
            '{"prompt": "x", "label": "a", "weight": -1}': "bad.jsonl line 2: `weight` is no weight",
            '{"prompt": "x", "label": "a", "split": "dev"}': 'bad.jsonl line 2: `split` is "dev"',
            '{"messages": [{"role": "assistant", "content": "x"}], "label": "a"}': "line 2: `messages` ends with no",
        }
        path = self.folder / "bad.jsonl"
        for line, said in cases.items():
            path.write_text(good + line + "\n", "utf-8")
            with self.subTest(line), self.assertRaises(SystemExit) as refused:
                rows.read([path])
            self.assertIn(said, str(refused.exception))

    def test_labels_are_named_as_the_data_calls_them(self) -> None:
        labels = rows.LabelNames.parse("small=gpt-mini,large")
        row = rows.read([self.write("a.jsonl", [{"prompt": "x", "label": "gpt-mini"}])]).rows[0]
        self.assertEqual((labels.index(row), labels.aliases), (0, {"gpt-mini": "small"}))
        other = rows.read([self.write("b.jsonl", [{"prompt": "x", "label": "huge"}])]).rows[0]
        with self.assertRaisesRegex(SystemExit, "line 1: the label 'huge' is none of small, large"):
            labels.index(other)


class PrecisionTests(unittest.TestCase):
    """Which precision a training gets, on devices that need not be here."""

    def chosen(self, wanted: str, device: str, *, computes: bool) -> str:
        def is_supported(including_emulation: bool = True) -> bool:
            return computes or including_emulation

        with unittest.mock.patch("torch.cuda.is_bf16_supported", is_supported):
            return command.precision_of(wanted, device)

    def test_a_gpu_that_computes_bf16_trains_in_it_and_no_other_device_does(self) -> None:
        self.assertEqual(self.chosen("auto", "cuda", computes=True), "bf16")
        self.assertEqual(self.chosen("auto", "cuda:1", computes=True), "bf16")
        self.assertEqual(self.chosen("auto", "cuda", computes=False), "fp32")
        self.assertEqual(self.chosen("auto", "cpu", computes=True), "fp32")

    def test_a_precision_that_was_asked_for_is_taken(self) -> None:
        self.assertEqual(self.chosen("bf16", "cpu", computes=False), "bf16")
        self.assertEqual(self.chosen("fp32", "cuda", computes=True), "fp32")


class LossTests(unittest.TestCase):
    """The loss by itself."""

    def test_weights_make_labels_count_alike_and_are_one_on_average(self) -> None:
        labels = np.array([0] * 8 + [1] * 2)
        balanced = objective.label_weights(labels, np.ones(10), 2, "balanced")
        self.assertAlmostEqual(8 * balanced[0], 2 * balanced[1])
        self.assertAlmostEqual(float(balanced[labels].mean()), 1)
        root = objective.label_weights(labels, np.ones(10), 2, "sqrt")
        self.assertAlmostEqual(float(root[1] / root[0]), 2)

    def test_the_level_error_is_the_square_of_how_far_off_the_expected_level_is(self) -> None:
        logits = torch.tensor([[0.0, 0.0, 50.0]])
        plain, with_level = (
            objective.TuningLoss(torch.ones(3), weight, 0.0)(logits, torch.tensor([0]), torch.ones(1))
            for weight in (0.0, 0.5)
        )
        self.assertAlmostEqual(float(with_level - plain), 0.5 * 4, places=4)

    def test_accumulated_gradients_are_those_of_one_large_batch(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            base = encoders.write(Path(folder) / "distilbert", encoders.distilbert())
            weights = []
            for batch, accumulation in ((16, 1), (4, 4)):
                torch.manual_seed(7)
                network = load(base, HeadShape(2, dropout=0.0))
                for module in network.modules():
                    if isinstance(module, torch.nn.Dropout):
                        module.p = 0.0
                encoded = training.EncodedRows(
                    [[2, 5 + row, 3] for row in range(16)], np.array([0, 1] * 8), np.linspace(0.5, 1.5, 16)
                )
                settings = training.TuningSettings(
                    7, 1, 0, batch, accumulation, 1e-3, 1e-3, 0.0, 0.1, "none", 0.0, 0.0, "rows", False, "fp32"
                )
                folder_of = Path(folder) / str(batch)
                with contextlib.redirect_stdout(io.StringIO()):
                    training.TuningRun(network, settings, folder_of, "cpu").run(encoded, encoded)
                weights.append(network.head[-1].weight.detach())
            self.assertTrue(torch.allclose(*weights, atol=1e-5))


if __name__ == "__main__":
    unittest.main()
