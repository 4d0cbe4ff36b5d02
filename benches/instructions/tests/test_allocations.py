"""Profiles that would be read wrongly without a word: names that come once, and allocations that others asked for."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from allocations import GROWN, NEW, calls_of, sites, total

PROFILE = """\
events: Ir
fn=(1) pointsman::proxy::serve
10 5
cfn=(2) alloc::raw_vec::grow
calls=30 0
10 900
fn=(3) pingora::read
cfn=(2)
calls=10 0
11 300
fn=(2)
cfn=(4) __rustc::__rust_alloc
calls=40 0
12 40
cfn=(5) __rustc::__rust_realloc
calls=7 0
12 40
fn=(4)
cfn=(6) mi_malloc_aligned
calls=40 0
12 40
"""


class ProfileTest(unittest.TestCase):
    """Profiles of callgrind."""

    def test_a_name_counts_wherever_its_number_stands(self) -> None:
        calls = calls_of(PROFILE)
        self.assertEqual(calls["pingora::read", "alloc::raw_vec::grow"], 10)
        self.assertEqual((total(calls, NEW), total(calls, GROWN)), (40, 7))

    def test_what_a_library_allocates_is_its_callers(self) -> None:
        self.assertEqual(sites(calls_of(PROFILE)), [("pointsman::proxy::serve", 30.0), ("pingora::read", 10.0)])


if __name__ == "__main__":
    unittest.main()
