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
LIGHT = {"a", "an", "the", "please", "kindly", "is", "are", "am"}
OPENINGS = set("hi hello hey can could would will you i we want need like love to know tell give show me us".split())
OPENINGS |= {"what", "whats", "quickly"}
CLOSINGS = {"please", "thanks", "thank", "you", "thx"}
NEGATIONS = set("not no never none without except neither nor cannot dont doesnt isnt arent wont cant".split())
NEGATIONS |= {"shouldnt", "nicht", "kein", "keine", "ohne"}
PUNCTUATION = ".,!?;:…。"
QUOTES = '"“”„«»`「'
MAX_ASK = 2048
HEAD, TAIL = 42, 20

Words = tuple[tuple[str, ...], tuple[str, ...]]


def tokens(text: str) -> Iterator[str]:
    for chunk in text.split():
        word = ""
        for char in chunk.rstrip(PUNCTUATION).replace("'", "").replace("’", "").lower():
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


def is_of_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def tells_apart(word: str) -> bool:
    return any(map(str.isnumeric, word)) or not all(map(is_of_word, word))


def words(text: str) -> Words:
    """Returns the words with a meaning of their own; and figures, signs, negations and quotations."""
    found = list(tokens(text))
    tells = [word for word in found if word in NEGATIONS or tells_apart(word)]
    quoted = re.split(f"[{re.escape(QUOTES)}]", text)[1::2]
    begins = next((at for at, word in enumerate(found) if word not in OPENINGS | LIGHT | {","}), 0)
    ends = next((at + 1 for at in reversed(range(len(found))) if found[at] not in CLOSINGS), len(found))
    kept = found[begins:ends] if begins < ends else found
    return tuple(word for word in kept if word not in LIGHT), tuple(tells + quoted)


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
        content = sum(known[one] == known[other] for one, other in at)
        print(f"cosine {bound}: {len(at)} pairs, guard figures {figures}, guard content {content}")
    same = [(one, other, cosine) for one, other, cosine in pairs if cosine >= 0.97 and known[one] == known[other]]
    for one, other, cosine in same[: asked.show]:
        print(f"{cosine:.3f} | {texts[one][:160]!r} | {texts[other][:160]!r}")


if __name__ == "__main__":
    main()
