"""Comparisons in several runs: what stays, what is measured again, and that no row is compared across runs."""

from __future__ import annotations

import argparse
import sys
import unittest
from pathlib import Path
from unittest import mock

import comparison
import samples
from phases import Comparison, Plan
from report import Report
from results import MIXED, Data, Memory
from samples import closed, stream
from target import HERE, Site, Spec, Target


def options(**more: object) -> argparse.Namespace:
    given = {"sections": None, "only": None, "quick": False, "out": None, "resume": None}
    return argparse.Namespace(**(given | more))


class DataTest(unittest.TestCase):
    """The rows of a run that is gone on with."""

    def test_only_the_rows_of_a_forgotten_section_go(self) -> None:
        for section in comparison.SECTIONS:
            data, whole = samples.data(), samples.data()
            data.done = list(comparison.SECTIONS)
            data.remarks = [f"{section}: no time was left."]
            data.forget(section)
            self.assertEqual(data.done, [name for name in comparison.SECTIONS if name != section])
            self.assertEqual(data.remarks, [])
            rows = {"cold": data.cold, "streams": data.streams, "saturation": data.rates, "generators": data.generators}
            kept = {"cold": whole.cold, "streams": whole.streams, "saturation": whole.rates}
            kept["generators"] = whole.generators
            for name, found in rows.items():
                self.assertEqual(found, type(found)() if name == section else kept[name], f"{section}, {name}")
            mixed = [run.bodies == MIXED for run in data.closed]
            wanted = {"closed": {False}, "sizes": {True}}.get(section, {True, False})
            self.assertEqual(set(mixed), wanted, section)

    def test_further_rounds_are_numbered_after_those_of_their_section(self) -> None:
        data = Data(about={}, targets=[])
        self.assertEqual(data.last_round("closed"), 0)
        data.closed = [closed("nginx", 3), closed("nginx", 7, bodies="2 MB")]
        data.streams = [stream("nginx", "dense", 2)]
        found = [data.last_round(section) for section in ("closed", "sizes", "streams")]
        self.assertEqual(found, [3, 7, 2])

    def test_memory_is_the_most_that_a_section_left(self) -> None:
        data = Data(about={}, targets=[])
        data.remember("nginx", Memory(10.0, 40.0, 50.0))
        data.remember("nginx", Memory(11.0, 20.0, 90.0))
        self.assertEqual(data.memory["nginx"], Memory(11.0, 40.0, 90.0))


class SectionsTest(unittest.TestCase):
    """What is measured, and where the report goes."""

    def test_a_run_that_goes_on_measures_what_is_not_done_or_was_named(self) -> None:
        data = Data(about={}, targets=[], done=["cold", "streams"])
        self.assertEqual(
            comparison.sections_of(options(), data), ["closed", "sizes", "saturation", "translation", "generators"]
        )
        self.assertEqual(comparison.sections_of(options(sections="streams,cold"), data), ["cold", "streams"])
        with self.assertRaises(SystemExit):
            comparison.sections_of(options(sections="steams"), data)

    def test_every_section_can_be_measured(self) -> None:
        site = Site(work=HERE, pointsman="pointsman", built=HERE, peers=HERE)
        with mock.patch("bodies.write", return_value={}):
            found = Comparison(Plan(), site, [], Data(about={}, targets=[]))
        self.assertEqual(tuple(found.sections()), comparison.SECTIONS)

    def test_a_section_that_was_cut_is_not_done(self) -> None:
        site = Site(work=HERE, pointsman="pointsman", built=HERE, peers=HERE)
        with mock.patch("bodies.write", return_value={}):
            found = Comparison(Plan(minutes=0), site, [], Data(about={}, targets=[]))
        with mock.patch("phases.say"):
            found.run("streams")
        self.assertEqual(found.data.done, [])
        self.assertRegex(found.data.remarks[0], "^streams: no time was left")

    def test_a_target_that_fails_is_given_up_and_the_others_go_on(self) -> None:
        site = Site(work=HERE, pointsman="pointsman", built=HERE, peers=HERE)
        targets = [Target(Spec(name), site) for name in ("nginx", "broken", "direct")]
        with mock.patch("bodies.write", return_value={}):
            found = Comparison(Plan(), site, targets, Data(about={}, targets=[]))
        found.section = "closed"
        with mock.patch("phases.say"), found.giving_up_on(targets[1]):
            raise ValueError("no figures")
        self.assertEqual([target.name for target in found.targets], ["nginx", "direct"])
        self.assertEqual(found.data.absent["broken"], "it failed in `closed`: no figures")

    def test_a_part_is_no_release_unless_it_completes_one(self) -> None:
        data = Data(about={"version": "9.9.9"}, targets=[])
        self.assertEqual(comparison.folder_of(options(), data), HERE / "results" / "9.9.9")
        for part in ({"only": "nginx"}, {"quick": True}, {"sections": "cold"}):
            self.assertEqual(comparison.folder_of(options(**part), data).name, "compare-report", part)
        self.assertEqual(comparison.folder_of(options(resume=Path("there"), sections="cold"), data), Path("there"))

    def test_a_report_names_no_folder_of_the_machine(self) -> None:
        line = ["comparison.py", "--resume", "/here", "--quick", "--out=/there", "--only", "nginx"]
        with mock.patch.object(sys, "argv", line):
            self.assertEqual(comparison.said(), ["--quick", "--only", "nginx"])


class CountersTest(unittest.TestCase):
    """Shares by counters that only Pointsman has."""

    def test_a_proxy_without_counters_has_no_shares(self) -> None:
        data = samples.data()
        data.targets.append("litellm-complexity")
        data.rates.append(samples.point("litellm-complexity", 0.5, 20, decisions={}, degraded={}, answers={}))
        text, pictures = Report(data).markdown(), Report(data).pictures()
        self.assertIn("litellm-complexity", pictures["saturation.svg"])
        self.assertNotIn("litellm-complexity", pictures["judged.svg"])
        self.assertRegex(text, r"\| litellm-complexity \| 50% \| 20 \| 100\.0% \| .* \| - \| - \| - \|")


if __name__ == "__main__":
    unittest.main()
