"""Reports that would be wrong silently: rows that are lost, tables that do not fit, pictures that are no XML."""

from __future__ import annotations

import re
import tempfile
import unittest
import xml.etree.ElementTree as ET
from pathlib import Path

import samples
from chart import Axis, over
from figures import difference
from report import Report
from results import Data


class ReportTest(unittest.TestCase):
    """The report on made-up data."""

    def setUp(self) -> None:
        self.data = samples.data()
        self.text = Report(self.data).markdown()

    def section(self, name: str) -> str:
        return self.text.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]

    def test_every_row_has_as_many_cells_as_its_head(self) -> None:
        width = 0
        for line in self.text.splitlines():
            if not line.startswith("|"):
                width = 0
                continue
            width = width or line.count("|")
            self.assertEqual(line.count("|"), width, line)

    def test_every_target_is_in_every_table(self) -> None:
        for name in ("Latency", "CPU", "CPU by the size of bodies", "Memory and start", "Streams"):
            for target in self.data.targets[1:]:
                self.assertIn(f"| {target} |", self.section(name), name)

    def test_what_was_not_measured_is_said(self) -> None:
        self.assertIn("Not measured: litellm-complexity, not installed.", self.text)
        self.assertIn("degraded in 1 of 1", self.section("Memory and start"))

    def test_goals_are_shown_where_they_are_missed(self) -> None:
        goals = self.section("Goals")
        self.assertRegex(goals, r"bare Pingora that replaces `model`.*1\.20 x \(1\.20 to 1\.20\) \| \*\*missed\*\*")
        self.assertRegex(goals, r"cascade.*900 us \| reached")
        self.assertRegex(goals, r"lexical.*not measured")

    def test_a_target_that_refuses_a_size_has_no_figure_there(self) -> None:
        for run in self.data.closed:
            if run.target == "pingora-pass" and run.bodies == "2 MB":
                run.bad_status = run.answers
        self.text = Report(self.data).markdown()
        self.assertRegex(self.section("CPU by the size of bodies"), r"\| pingora-pass \|.*refused \(100%\) \|")

    def test_an_empty_comparison_is_a_report(self) -> None:
        text = Report(Data(about=dict(samples.ABOUT), targets=["direct"])).markdown()
        self.assertIn("# Pointsman 9.9.9", text)
        self.assertNotIn("## Latency", text)

    def test_pictures_are_xml_and_all_of_them_are_shown(self) -> None:
        pictures = Report(self.data).pictures()
        self.assertEqual(set(re.findall(r"\]\((.*\.svg)\)", self.text)), set(pictures))
        for name, picture in pictures.items():
            self.assertTrue(ET.fromstring(picture).tag.endswith("svg"), name)
            self.assertNotIn("nan", picture)

    def test_raw_data_give_the_same_report_again(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Report(self.data).write(Path(folder))
            again = Data.read(Path(folder, "data.json"))
            self.assertEqual(Path(folder, "report.md").read_text("utf-8"), Report(again).markdown())

    def test_generators_are_compared_with_ours(self) -> None:
        found = difference({"rate": 40.0}, [{"rate": 38.0}, {"rate": 41.0}], "rate")
        self.assertAlmostEqual(found or 0.0, 0.05)
        self.assertIsNone(difference({"rate": 40.0}, [], "rate"))


class AxisTest(unittest.TestCase):
    """Where values lie in a picture."""

    def test_a_logarithmic_axis_gives_each_power_the_same_room(self) -> None:
        axis = Axis("us", 10, 1000, logarithmic=True)
        self.assertAlmostEqual(axis.share(100), 0.5)
        self.assertEqual(axis.ticks(), [10, 100, 1000])

    def test_what_lies_beyond_an_axis_is_at_its_end(self) -> None:
        self.assertEqual(Axis("us", 10, 1000, logarithmic=True).share(0), 0.0)
        self.assertEqual(Axis("us", 0, 100).share(1000), 1.0)

    def test_an_axis_holds_its_values(self) -> None:
        axis = over("us", [3.0, 4700.0])
        self.assertEqual((axis.least, axis.most), (1.0, 10000.0))
        self.assertEqual(Axis("percent", 0, 100).ticks(), [0, 20, 40, 60, 80, 100])


if __name__ == "__main__":
    unittest.main()
