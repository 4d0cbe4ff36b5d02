"""Asks that an encoder finds near, by what the guards of the response cache say of them.

The guards are those of `src/response_cache/guard.rs`, written here a second time.

    python benches/response_cache/near_asks.py --data FOLDER [--bundle models/pointsman-mini] [--asks 12000] [--show 50]

Needs onnxruntime, tokenizers and numpy. Prints counts, and pairs that the guard `content` lets pass, for a reader.
"""

import argparse
import json
import pathlib
import random
import re
from collections.abc import Iterator

import numpy
import onnxruntime
import tokenizers

FILES = ["tiers_train.jsonl", "tiers_validation.jsonl", "gsm8k_train_questions.jsonl", "outcomes_mmlu.jsonl"]
BOUNDS = [0.95, 0.97, 0.99]
QUESTIONS = set("what who whose whom where when why how which".split())
AUXILIARIES = set("is are was were do does did can could should would has have had".split())
ORDERS = set("explain describe define list compare calculate compute summarize summarise".split())
OTHER_OPENERS = set("hi hello hey write translate give tell show make create find solve convert generate".split())
OTHER_OPENERS |= {"rewrite", "name", "suggest"}
GREETINGS = ["hi", "hello", "hey", "hi there", "hello there", "hey there"]
OPENINGS = ["please, ", "please ", "kindly "]
OPENINGS += [f"{verb} you please " for verb in ["can", "could", "would", "will"]] + ["can you kindly "]
CLOSINGS = ["please", "many thanks", "thanks", "thank you", "thx"]
CONTRACTIONS = {f"{word}{mark}s": f"{word} is" for word in ["what", "who", "where"] for mark in "'’"}
APART = re.compile(r"[:;\n\r…–—]|[.?!] | - ")
NEGATIONS = set("not no never none without except neither nor cannot nobody nothing nowhere dont doesnt didnt".split())
NEGATIONS |= set("isnt arent aint wasnt werent wont wouldnt cant couldnt shouldnt hasnt havent hadnt mustnt".split())
NEGATIONS |= set("nicht nichts nie kein keine keinen ohne".split())
PUNCTUATION = ".,!?;:…。"
QUOTES = '"“”„«»`「'
MAX_ASK = 2048
HEAD, TAIL = 42, 20

Words = tuple[str, tuple[str, ...]]


def tokens(text: str) -> Iterator[str]:
    for chunk in text.split():
        word = ""
        for char in without_punctuation(chunk).replace("'", "").replace("’", ""):
            if is_of_word(char) or (char in ".,:" and word and word[-1].isnumeric()):
                word += char
                continue
            if word:
                yield word
            word = ""
            if char not in QUOTES:
                yield char
        if word:
            yield word


def without_punctuation(chunk: str) -> str:
    bare = chunk.rstrip(PUNCTUATION)
    is_figure = bare[-1:].isnumeric() or bare[-1:] == ")"
    return chunk[: len(bare) + 1] if is_figure and chunk[len(bare) :].startswith("!") else bare


def is_of_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def tells_apart(word: str) -> bool:
    return any(map(str.isnumeric, word)) or not all(map(is_of_word, word))


def is_same_word(one: str, other: str) -> bool:
    return bool(one and other) and one[0].lower() == other[0].lower() and one[1:] == other[1:]


def lower_first_word(text: str) -> tuple[str, str]:
    """Returns a text whose first word begins small if it begins questions and orders, and that word."""
    word = re.split(r"\s", text, maxsplit=1)[0]
    whole = CONTRACTIONS.get(word[:1].lower() + word[1:], word[:1].lower() + word[1:])
    first = whole.split(" ")[0]
    is_known = first in QUESTIONS | AUXILIARIES | ORDERS | OTHER_OPENERS
    return (whole + text[len(word) :], first) if is_known else (text, "")


def without_closing(ask: str, end: str) -> str:
    said = ask.rstrip(".!")
    for closing in CLOSINGS:
        before, rest = said[: -len(closing)], said[-len(closing) :]
        if is_same_word(rest, closing) and before.endswith(f"{end} "):
            return before[:-1]
    return ask


def content(text: str) -> str:
    """Returns an ask as it is written, without what says nothing."""
    text = text.strip()
    for greeting in GREETINGS:
        if is_same_word(text.rstrip(".!? "), greeting):
            return greeting
    opening = next((opening for opening in OPENINGS if is_same_word(text[: len(opening)], opening)), "")
    ask, word = lower_first_word(text[len(opening) :])
    if not word:
        return text
    end = "?" if word in QUESTIONS | AUXILIARIES else "." if word in ORDERS else ""
    takes_courtesies = word in QUESTIONS | ORDERS
    bare = without_closing(ask, end) if takes_courtesies else ask
    if APART.search(bare) or (opening and not takes_courtesies):
        return lower_first_word(text)[0]
    if word in ORDERS and " you " in opening:
        end = "?"
    if end and bare.endswith(end) and (bare[-2:-1].isalnum() or bare[-2:-1] == ")"):
        return bare[:-1]
    return bare


def words(text: str) -> Words:
    """Returns the ask as it is written; and figures, signs, negations and quotations."""
    found = [word if tells_apart(word) else word.lower() for word in tokens(text)]
    tells = [word for word in found if word in NEGATIONS or tells_apart(word)]
    quoted = re.split(f"[{re.escape(QUOTES)}]", text)[1::2]
    return content(text), tuple(tells + quoted)


def prompts(folder: pathlib.Path, count: int) -> list[str]:
    texts = set()
    for name in FILES:
        for line in (folder / name).read_text().rstrip("\n").split("\n"):
            row = json.loads(line)
            text = str(row.get("prompt") or row.get("question") or row.get("text") or "").strip()
            if 0 < len(text.encode()) <= MAX_ASK:
                texts.add(text)
    chosen = sorted(texts)
    random.Random(7).shuffle(chosen)
    return chosen[:count]


def embeddings(bundle: pathlib.Path, texts: list[str]) -> "numpy.typing.NDArray[numpy.float32]":
    tokenizer = tokenizers.Tokenizer.from_file(str(bundle / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    session = onnxruntime.InferenceSession(str(bundle / "model.onnx"))
    names = [value.name for value in session.get_inputs()]
    found = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        if len(ids) > HEAD + TAIL + 2:
            ids = ids[: HEAD + 1] + ids[-TAIL - 1 :]
        row = numpy.array([ids], dtype=numpy.int64)
        values = {"input_ids": row, "attention_mask": numpy.ones_like(row), "token_type_ids": numpy.zeros_like(row)}
        found.append(session.run(["sentence_embedding"], {name: values[name] for name in names})[0][0])
    rows = numpy.array(found, dtype=numpy.float32)
    rows /= numpy.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def near(rows: "numpy.typing.NDArray[numpy.float32]") -> Iterator[tuple[int, int, float]]:
    for start in range(0, len(rows), 500):
        cosines = rows[start : start + 500] @ rows.T
        for one, other in zip(*numpy.nonzero(cosines >= BOUNDS[0]), strict=True):
            if other > start + one:
                yield start + int(one), int(other), float(cosines[one, other])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--bundle", type=pathlib.Path, default=pathlib.Path("models/pointsman-mini"))
    parser.add_argument("--asks", type=int, default=12000)
    parser.add_argument("--show", type=int, default=50)
    asked = parser.parse_args()
    texts = prompts(asked.data, asked.asks)
    known = [words(text) for text in texts]
    pairs = list(near(embeddings(asked.bundle, texts)))
    print(f"{len(texts)} prompts")
    for bound in BOUNDS:
        at = [(one, other) for one, other, cosine in pairs if cosine >= bound]
        figures = sum(known[one][1] == known[other][1] for one, other in at)
        content = sum(known[one][0] == known[other][0] for one, other in at)
        print(f"cosine {bound}: {len(at)} pairs, guard figures {figures}, guard content {content}")
    same = [(one, other, cosine) for one, other, cosine in pairs if cosine >= 0.97 and known[one][0] == known[other][0]]
    for one, other, cosine in same[: asked.show]:
        print(f"{cosine:.3f} | {texts[one][:160]!r} | {texts[other][:160]!r}")


if __name__ == "__main__":
    main()
