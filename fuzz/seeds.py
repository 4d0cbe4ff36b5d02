"""Takes seeds out of the repository.

Of the target `configuration`: configurations, the YAML of the docs, a manifest. Of the translation's: its fixtures.
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
SEEDS = ROOT / "fuzz" / "target" / "seeds"
FIXTURES = ROOT / "crates" / "translation" / "tests" / "fixtures" / "data"
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def write(target: str, texts: list[str]) -> None:
    """Writes one file for each seed of a target."""
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for number, text in enumerate(texts):
        (folder / f"{number:03}").write_text(text, encoding="utf-8")


def configurations() -> list[str]:
    """Returns the configurations of the repository."""
    files = [*ROOT.glob("config/*.yaml"), *ROOT.glob("config/examples/*.yaml"), *ROOT.glob("models/*/bundle.yaml")]
    texts = [path.read_text() for path in sorted(files)]
    for page in sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")]):
        texts.extend(BLOCK.findall(page.read_text()))
    return texts


def bodies(api: str, kind: str) -> list[str]:
    """Returns fixtures of the translation."""
    lines = (FIXTURES / f"{api}_{kind}.jsonl").read_text(encoding="utf-8").split("\n")
    return [json.dumps(json.loads(line)["body"], ensure_ascii=False) for line in lines if line]


def streams(api: str) -> list[str]:
    """Returns fixtures of streams as the wire has them."""
    framed = []
    for events in map(json.loads, bodies(api, "streams")):
        texts = [event if isinstance(event, str) else json.dumps(event, ensure_ascii=False) for event in events]
        framed.append("".join(f"data: {text}\n\n" for text in texts))
    return framed


def main() -> None:
    """Writes the seeds of every target that has some."""
    write("configuration", configurations())
    for api in ("chat", "responses", "messages", "gemini"):
        write(f"translated_{api}_requests", bodies(api, "requests"))
        # The first byte says how long the pieces of a stream are.
        write(f"translated_{api}_answers", [f"\x07{body}" for body in [*bodies(api, "answers"), *streams(api)]])


if __name__ == "__main__":
    main()
