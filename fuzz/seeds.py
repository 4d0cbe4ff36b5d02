"""Takes seeds of the target `configuration` out of the repository: configurations, the YAML of the docs, a manifest."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
SEEDS = ROOT / "fuzz" / "target" / "seeds" / "configuration"
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def main() -> None:
    """Writes one file for each seed."""
    SEEDS.mkdir(parents=True, exist_ok=True)
    for old in SEEDS.iterdir():
        old.unlink()
    files = [*ROOT.glob("config/*.yaml"), *ROOT.glob("config/examples/*.yaml"), *ROOT.glob("models/*/bundle.yaml")]
    texts = [path.read_text() for path in sorted(files)]
    for page in sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")]):
        texts.extend(BLOCK.findall(page.read_text()))
    for number, text in enumerate(texts):
        (SEEDS / f"{number:03}.yaml").write_text(text)


if __name__ == "__main__":
    main()
