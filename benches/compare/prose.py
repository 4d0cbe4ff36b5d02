"""What a report says about each of its tables: how the figures come about, and what bounds them."""

from __future__ import annotations

import textwrap
from typing import Any

LATENCY = """
    Microseconds added over a direct connection of the same round, by connections; bodies of 2 KB on average. Below
    100 answers no p50 is shown, below 1,000 no p99. Load, upstream and proxy share the cores, so at many
    connections a proxy waits for them.
"""
CPU = """
    CPU time of the proxy's processes for each request, in microseconds, by connections; its ratio to a bare Pingora
    that replaces `model` within the same rounds (median, least and most). The last column is a million divided by
    the CPU at {top} connections. Pointsman's classifiers have a deadline of {deadline} here, so that every prompt
    is judged. LiteLLM and RouteLLM are measured at up to 64 connections.
"""
SIZES = """
    Microseconds of CPU for each request, {connections} connections. LiteLLM and RouteLLM are measured at up to 20 KB.
"""
MEMORY = """
    Resident memory, summed over a proxy's processes; after load and at its peak the most that a section left. A
    start is the median of some, each of the proxy alone with its files in the page cache, from the start of the
    process to the first good answer.
"""
STREAMS = """
    Microseconds added over a direct stream of the same round: the first event after the request, and each event
    from the upstream's hand to the client's (four streams at a time, an event every 20 ms). CPU of the proxy for
    each event of dense streams (eight at a time, an event every 2 ms; for LiteLLM and RouteLLM four, every 10
    ms), the requests' own CPU included. Several events a read: they were put together on the way.
"""
SATURATION = """
    An open loop: requests arrive as a Poisson process, whether or not earlier ones were answered, and a latency
    counts from the moment at which the request was due. {open_seconds:g} s at each rate; capacity is what a closed
    loop of 64 connections reached above. The classifier's deadline is {open_deadline}, its queue {open_queue}. The
    shares are of all decisions, by Pointsman's own counters, which the others lack; `degraded` counts every prompt
    that the encoder should have judged and did not, so that the lexical heads answered. Where requests were sent
    late, the generator had no core, and the machine is what is saturated.
"""
TRANSLATION = """
    A chat completion of 2 KB in a tool loop, and a dense stream, whose model is at an upstream that speaks
    Anthropic's messages, beside the same at an upstream that speaks chat completions. The same process serves both.
    CPU of the proxy for each request at 16 connections, its ratio to the untranslated request within the same
    rounds, and CPU for each event.
"""
CHECKS = (
    "What reached an upstream that tells, and what came back: a proxy that is fast because it does less shows here."
)
HEADING = """
    Written by `{command}`, {when}, in {minutes:.0f} minutes: {rounds} interleaved rounds of {seconds:g} s, every
    process on one machine ({processor}, {cores} cores with {sets}, {memory_gb:g} GB, {system}). {pinning} CPU that
    others used meanwhile: {middle:.2f} cores at the median, {most:.2f} at most; load average {load_before} before,
    {load_after} after.
"""


def paragraph(text: str, **values: Any) -> list[str]:
    """Returns the text with its values, wrapped as the repository's pages are, and an empty line."""
    filled = " ".join(text.split()).format(**values)
    return [*textwrap.wrap(filled, 150, break_long_words=False, break_on_hyphens=False), ""]
