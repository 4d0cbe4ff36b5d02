"""What is sent and what is started: bodies, templates, counters."""

from __future__ import annotations

import json
import tomllib
import unittest

import samples  # noqa: F401 - finds the modules
from bodies import SIZES, mixed, of_size, with_tools
from child import FailedError
from machine import used_seconds
from open_loop import counts
from pictures import SIZES as SHOWN_SIZES
from target import HERE, Site, fill, specs

PAGE = """\
# HELP pointsman_classifier_answers_total Prompts
pointsman_classifier_answers_total{classifier="default",source="encoder"} 12
pointsman_classifier_answers_total{classifier="default",source="lexical"} 3
pointsman_classifier_degraded_total{classifier="default",reason="deadline"} 2
pointsman_classifier_degraded_total{classifier="other",reason="deadline"} 4
pointsman_decisions_total{model="small",policy="auto",reason="tier"} 1.5e+01
pointsman_decisions_total_created{model="small",policy="auto",reason="tier"} 99
"""


class BodiesTest(unittest.TestCase):
    """The request bodies."""

    def test_each_size_is_exact(self) -> None:
        for name, size in SIZES.items():
            self.assertEqual({len(body.encode()) for body in of_size(size)}, {size}, name)
        self.assertEqual(SIZES, SHOWN_SIZES)

    def test_each_body_is_json_with_one_place_for_the_model_and_one_for_a_number(self) -> None:
        for body in [*mixed(), *of_size(200), *of_size(20_000)]:
            self.assertEqual((body.count("__MODEL__"), body.count("NONCE00000")), (1, 1))
            self.assertEqual(json.loads(body)["model"], "__MODEL__")

    def test_a_body_with_tools_is_about_as_long_as_it_is_to_be(self) -> None:
        for body in with_tools():
            self.assertLess(abs(len(body) - 2_000), 100)
            self.assertEqual((body.count("__MODEL__"), body.count("NONCE00000")), (1, 1))

    def test_bodies_are_the_same_on_every_run(self) -> None:
        self.assertEqual(mixed(), mixed())
        self.assertGreater(len(set(mixed())), 150)


class TemplatesTest(unittest.TestCase):
    """The targets and their configurations."""

    def words(self) -> dict[str, str]:
        site = Site(work=HERE, pointsman="pointsman", built=HERE, peers=HERE)
        return {**site.words(), "PORT": "1", "ADMIN_PORT": "2", "UPSTREAM_PORT": "3", "CONFIG": "config"}

    def test_every_configuration_of_a_target_can_be_filled_in(self) -> None:
        for spec in specs():
            texts = [*spec.start, *spec.env.values(), *spec.version]
            if spec.config:
                texts.append((HERE / "configs" / spec.config).read_text("utf-8"))
            for text in texts:
                self.assertNotRegex(fill(text, self.words()), r"@[A-Z_]+@", spec.name)

    def test_every_configuration_belongs_to_a_target(self) -> None:
        used = {spec.config for spec in specs()} | {"upstream-nginx.conf", ""}
        self.assertEqual({path.name for path in (HERE / "configs").iterdir()} | {""}, used)

    def test_an_unknown_placeholder_is_an_error(self) -> None:
        with self.assertRaises(FailedError):
            fill("listen @PROT@", self.words())

    def test_no_port_is_fixed(self) -> None:
        for path in (HERE / "configs").iterdir():
            self.assertNotRegex(path.read_text("utf-8"), r"127\.0\.0\.1:\d", path.name)

    def test_every_peer_can_be_installed_and_is_pinned(self) -> None:
        script = (HERE / "install.sh").read_text("utf-8")
        for peer in {spec.peer for spec in specs()}:
            self.assertIn(f"install_{peer}()", script)
        for path in (HERE / "peers").glob("*.txt"):
            for line in path.read_text("utf-8").splitlines():
                self.assertRegex(line, r"^(#|--|[A-Za-z0-9_.\[\]-]+==\S+)", f"{path.name}: {line}")

    def test_the_floors_are_pinned_as_pointsman_is(self) -> None:
        ours = tomllib.loads((HERE.parents[1] / "Cargo.toml").read_text("utf-8"))["workspace"]["dependencies"][
            "pingora"
        ]
        floor = tomllib.loads((HERE / "pingora-floor" / "Cargo.toml").read_text("utf-8"))["dependencies"]
        self.assertEqual({floor["pingora-core"]["version"], floor["pingora-http"]}, {ours["version"]})


class ClocksTest(unittest.TestCase):
    """CPU times."""

    def test_the_precise_clock_counts_unless_it_lost_a_thread(self) -> None:
        self.assertEqual(used_seconds(ticks=0.11, precise=0.1043), 0.1043)
        self.assertEqual(used_seconds(ticks=2.0, precise=0.4), 2.0)
        self.assertEqual(used_seconds(ticks=0.11, precise=-0.5), 0.11)


class CountersTest(unittest.TestCase):
    """The classifier's counters."""

    def test_counters_are_summed_by_their_label(self) -> None:
        found = counts(PAGE)
        self.assertEqual(found["answers"], {"encoder": 12, "lexical": 3})
        self.assertEqual(found["degraded"], {"deadline": 6})
        self.assertEqual(found["decisions"], {"tier": 15})


if __name__ == "__main__":
    unittest.main()
