"""Figures that would be wrong silently: what is compared with what, and when there is too little to say."""

from __future__ import annotations

import unittest

import samples
from figures import Figures
from results import Data
from samples import closed, stream


def figures(*runs: object) -> Figures:
    data = Data(about={}, targets=[])
    for run in runs:
        (data.closed if type(run).__name__ == "ClosedRun" else data.streams).append(run)  # type: ignore[arg-type]
    return Figures(data)


class FiguresTest(unittest.TestCase):
    """The statistics over the raw rows."""

    def test_what_a_proxy_adds_is_taken_within_its_round(self) -> None:
        # Round 2 was twice as slow for both: the added time is 50 and 100, not a mix of rounds.
        found = figures(
            closed("direct", 1, p50=100.0), closed("nginx", 1, p50=150.0),
            closed("direct", 2, p50=200.0), closed("nginx", 2, p50=300.0),
        )  # fmt: skip
        self.assertEqual(found.added("nginx", 16, "p50"), 75.0)

    def test_a_round_without_a_direct_run_does_not_count(self) -> None:
        found = figures(closed("direct", 1, p50=100.0), closed("nginx", 1, p50=150.0), closed("nginx", 2, p50=900.0))
        self.assertEqual(found.added("nginx", 16, "p50"), 50.0)

    def test_too_few_answers_are_no_figure(self) -> None:
        few = figures(closed("direct", answers=300), closed("slow", answers=300))
        self.assertIsNotNone(few.added("slow", 16, "p50"))
        self.assertIsNone(few.added("slow", 16, "p99"))
        self.assertIsNone(figures(closed("direct"), closed("slow", answers=9)).cpu("slow", 16))

    def test_answers_that_were_errors_are_no_cpu_figure(self) -> None:
        self.assertIsNone(figures(closed("refuses", answers=5000, bad_status=5000)).cpu("refuses", 16))

    def test_a_ratio_is_the_median_of_rounds(self) -> None:
        runs = [closed("floor", n, cpu_us=cpu) for n, cpu in ((1, 50.0), (2, 100.0), (3, 60.0))]
        runs += [closed("ours", n, cpu_us=cpu) for n, cpu in ((1, 60.0), (2, 100.0), (3, 66.0))]
        found = figures(*runs).cpu_ratio("ours", "floor", 16)
        assert found
        self.assertEqual([round(each, 3) for each in (found.median, found.least, found.most)], [1.1, 1.0, 1.2])

    def test_a_ratio_to_what_took_no_cpu_is_nothing(self) -> None:
        self.assertIsNone(figures(closed("direct", cpu_us=0.0), closed("ours")).cpu_ratio("ours", "direct", 16))

    def test_what_a_translation_adds_is_compared_within_a_round(self) -> None:
        translated: dict[str, float | str] = {"bodies": "translation", "connections": 1}
        found = figures(
            closed("direct", 1, p50=50.0, **translated), closed("a-untranslated", 1, p50=150.0, **translated),
            closed("a-translated", 1, p50=170.0, **translated),
            stream("a-untranslated", "translation", cpu_us_per_event=20.0),
            stream("a-translated", "translation", cpu_us_per_event=21.5),
        )  # fmt: skip
        ratio = found.added_ratio("a-translated", "a-untranslated", 1, "translation")
        assert ratio
        self.assertEqual(round(ratio.median, 3), 1.2)
        self.assertEqual(found.event_cost("a-translated", "a-untranslated", "translation"), 1.5)

    def test_connections_and_bodies_are_kept_apart(self) -> None:
        found = figures(
            closed("ours", cpu_us=50.0),
            closed("ours", bodies="2 MB", cpu_us=900.0),
            closed("ours", connections=64, cpu_us=70.0),
        )
        self.assertEqual(found.cpu("ours", 16), 50.0)
        self.assertEqual(found.cpu("ours", 16, "2 MB"), 900.0)
        self.assertEqual(found.connections(), [16, 64])

    def test_events_are_compared_with_dense_streams_of_the_same_round(self) -> None:
        found = figures(
            stream("pass", "dense", 1, cpu_us_per_event=10.0), stream("ours", "dense", 1, cpu_us_per_event=15.0),
            stream("ours", "paced", 1, cpu_us_per_event=99.0),
        ).event_ratio("ours", "pass")  # fmt: skip
        assert found
        self.assertEqual(found.median, 1.5)

    def test_foreign_cpu_is_the_median_and_the_most(self) -> None:
        runs = [closed("nginx", number, foreign_cpu=cores) for number, cores in ((1, 0.0), (2, 0.1), (3, 1.4))]
        self.assertEqual(figures(*runs).foreign(), (0.1, 1.4))

    def test_shares_of_a_rate_are_of_all_decisions(self) -> None:
        point = samples.point("ours", 1.0, 200)
        self.assertAlmostEqual(point.share_of(point.degraded), 0.1)
        self.assertAlmostEqual(point.share_of(point.degraded, "deadline"), 0.06)
        point.decisions = {}
        self.assertEqual(point.share_of(point.degraded), 0.0)


if __name__ == "__main__":
    unittest.main()
