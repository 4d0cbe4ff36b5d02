"""The request bodies: a mix of chat completions of 32 B to 19 KB, and bodies of one size each. The same on every run.

Each body is a line of JSON with the placeholders `__MODEL__` and `NONCE00000`, which the load replaces in each request:
no two requests are equal, and no cache of whole requests hits.

The mix, by the bytes of the last user message: half up to 120, 30 % of 300 to 2,000, 15 % of 2 to 8 KB, 5 % of 8 to
20 KB. A quarter carry a system prompt, a fifth are conversations, some set a temperature, or have tools.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

NONCE = "[NONCE00000]"
SIZES = {"200 B": 200, "2 KB": 2_000, "20 KB": 20_000, "200 KB": 200_000, "2 MB": 2_000_000}
SEED = 20261121

SHORT = """What is the capital of Mongolia?
Translate "good morning, see you later" into Portuguese.
Write a haiku about a rainy Tuesday.
Fix the grammar: he don't knows where is the keys.
What's 17% of 2450?
Give me three names for a bakery that sells only rye bread.
Is a tomato a fruit or a vegetable?
Convert 72 degrees Fahrenheit to Celsius.
Who wrote The Master and Margarita?
Summarize the plot of Hamlet in two sentences.
Explain recursion to a ten-year-old.
What does HTTP status 409 mean and when should an API return it?
Write a SQL query returning the top five customers by revenue in the last 90 days.
Prove that the square root of 2 is irrational.
Write a Python function that merges overlapping intervals and returns them sorted.
What is the time complexity of building a heap, and why is it not n log n?
Draft a polite e-mail declining a meeting invitation because of a deadline.
Compare PostgreSQL and SQLite for a desktop application used by one person.
My dog ate two grapes, should I be worried?
List the steps to renew a passport when the old one was lost.
Find the derivative of x^3 * ln(x) and evaluate it at x = e.
Why does my React component re-render twice in development mode?
Suggest a weekend itinerary for Lisbon with two small children.
Classify the sentiment of this review: the battery died after two days, but support was lovely.
Write a regex that matches ISO 8601 dates but not times.
Explain the difference between a mutex and a semaphore with an example in C.
What are the tax implications of exercising stock options early?
Rewrite this sentence in active voice: the report was written by the committee.
Design a rate limiter for a public API serving 50 thousand requests per second.
Given a biased coin with p = 0.6, what is the probability of exactly 7 heads in 10 flips?""".splitlines()

SENTENCES = """The quarterly figures show a decline of four percent in the northern region.
Customers reported that the new checkout flow loses their basket after the payment step.
We observed intermittent timeouts between the ingress and the billing service during the night.
The committee agreed to postpone the decision until the audit of the supplier is complete.
According to the contract, the tenant must give notice in writing at least ninety days in advance.
The patient presented with mild fever, a dry cough and fatigue lasting for eleven days.
Throughput rose after the batch size was doubled, but tail latency grew as well.
Historians disagree on whether the treaty was ever ratified by the second chamber.
The experiment was repeated three times with fresh samples and a blinded evaluator.
In the second act, the detective learns that the letter was forged by her own brother.
All personal data are deleted after thirty days unless the user has opted in to retention.
The valve closes when the pressure exceeds six bar and opens again below five bar.
Our migration plan moves the read traffic first, then the writes, and finally the scheduled jobs.
Shipping costs are calculated from the volumetric weight of each parcel, rounded up.
The model was fine-tuned on twelve thousand dialogues and evaluated on a held-out month.
She argued that the tariff mostly hurt the small importers that it was meant to protect.""".splitlines()

CODE = '''def settle(accounts, transfers, *, limit=None):
    """Apply transfers in order; raise ValueError when an account would be overdrawn."""
    for index, (src, dst, amount) in enumerate(transfers):
        if limit is not None and index >= limit:
            break
        if accounts[src] < amount:
            raise ValueError(f"account {src} has {accounts[src]}, needs {amount}")
        accounts[src] -= amount
        accounts[dst] = accounts.get(dst, 0) + amount
    return accounts
'''
LOG = "2026-11-{d:02d}T0{h}:{m:02d}:1{h}Z WARN pool-{m} upstream timed out after {t} ms, retrying ({h}/3)\n"
ASK = [
    "Summarize the following report and list the open questions.",
    "Find the bug in this code, explain it step by step and propose a fix with tests.",
    "Which of these log lines point to the root cause? Reason carefully before you answer.",
    "Extract all obligations with a deadline from the text below as JSON.",
    "Translate the text below into French, keeping the technical terms.",
    "Rewrite this as a formal memo and point out every contradiction.",
]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "lookup",
            "description": "Look up a record",
            "parameters": {"type": "object", "properties": {"key": {"type": "string"}}},
        },
    }
]


def long_text(rng: random.Random, size: int) -> str:
    """Returns an instruction and a report, code or a log below it, so many characters in all."""
    parts, kind = [rng.choice(ASK)], rng.randrange(3)
    length = len(parts[0])
    while length < size:
        if kind == 0:
            part = " ".join(rng.sample(SENTENCES, 4))
        elif kind == 1:
            part = "```python\n" + CODE.replace("settle", f"settle_{rng.randrange(999)}") + "```"
        else:
            part = "".join(log_line(rng) for _ in range(4))
        parts.append(part)
        length += len(part)
    return "\n\n".join(parts)[:size]


def log_line(rng: random.Random) -> str:
    day, hour, minute, milliseconds = (
        rng.randrange(1, 29),
        rng.randrange(1, 4),
        rng.randrange(60),
        rng.randrange(100, 9000),
    )
    return LOG.format(d=day, h=hour, m=minute, t=milliseconds)


def mixed(count: int = 200) -> list[str]:
    rng = random.Random(SEED)
    sizes = [0] * (count // 2)
    for share, least, most in ((30, 300, 2000), (15, 2000, 8000), (5, 8000, 20000)):
        sizes += [rng.randint(least, most) for _ in range(count * share // 100)]
    rng.shuffle(sizes)
    return [json.dumps(chat(rng, index, size)) for index, size in enumerate(sizes)]


def chat(rng: random.Random, index: int, size: int) -> dict[str, Any]:
    user = long_text(rng, size) if size else rng.choice(SHORT)
    messages = [{"role": "user", "content": f"{user} {NONCE}"}]
    if index % 5 == 0:
        earlier = {"role": "assistant", "content": " ".join(rng.sample(SENTENCES, 2))}
        messages = [{"role": "user", "content": rng.choice(SHORT)}, earlier, *messages]
    if index % 4 == 0:
        messages.insert(0, {"role": "system", "content": "You are a concise, careful assistant."})
    body: dict[str, Any] = {"model": "__MODEL__", "messages": messages}
    if index % 3 == 0:
        body |= {"temperature": 0.2, "max_tokens": 256}
    if index % 10 == 7:
        body["tools"] = TOOLS
    return body


def of_size(size: int, count: int = 4) -> list[str]:
    """Returns bodies of exactly that many bytes, placeholders included."""
    rng = random.Random(SEED + size)
    return [one_of_size(rng, size) for _ in range(count)]


def one_of_size(rng: random.Random, size: int) -> str:
    def body(text: str) -> str:
        return json.dumps({"model": "__MODEL__", "messages": [{"role": "user", "content": f"{text} {NONCE}"}]})

    text = long_text(rng, size)
    # Escapes make a text longer than it is: cut what is too much, then fill up what the last escape took.
    while (excess := len(body(text)) - size) > 0:
        text = text[: -max(1, excess // 2)]
    return body(text + "." * -excess)


def with_tools(size: int = 2_000, count: int = 8) -> list[str]:
    """Returns bodies of about that many bytes in the middle of a tool loop: a call, its result, and tools."""
    rng = random.Random(SEED)
    return [one_with_tools(rng, size) for _ in range(count)]


def one_with_tools(rng: random.Random, size: int) -> str:
    call = {
        "id": "call_Zk3mYw1b",
        "type": "function",
        "function": {"name": "lookup", "arguments": '{"key": "invoice"}'},
    }

    def body(text: str) -> str:
        turns = [
            {"role": "system", "content": "You are an assistant for a billing team. Answer briefly."},
            {"role": "user", "content": f"{rng.choice(ASK)} {NONCE}"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": text},
        ]
        request = {"model": "__MODEL__", "max_tokens": 512, "temperature": 0.2, "messages": turns, "tools": TOOLS}
        return json.dumps(request)

    return body(long_text(rng, max(1, size - len(body("")))))


def write(folder: Path) -> dict[str, Path]:
    """Writes all bodies below the folder; returns the files by what is in them: `mixed`, `translation`, or a size."""
    sets = {"mixed": mixed(), "translation": with_tools()} | {name: of_size(size) for name, size in SIZES.items()}
    files = {name: folder / f"bodies-{name.replace(' ', '')}.jsonl" for name in sets}
    for name, lines in sets.items():
        files[name].write_text("\n".join(lines) + "\n", "utf-8")
    return files
