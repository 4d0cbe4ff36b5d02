"""Configurations and bundles that somebody got wrong: `check` says so in time, and ends with a status of its own."""

from __future__ import annotations

import pathlib
import random
import re
import shutil
import tempfile
from collections.abc import Callable

import chaos_files
from peer import Peer
from process import ROOT, checked
from stage import Scene
from table import Outcome, Row, must

PATIENCE = 30.0
STATUSES = {0, 1, 66, 74, 78}
SECRET = "p4ssw0rd"
BUNDLE = ROOT / "tests" / "fixtures" / "tiny"
SOURCES = ["config/demo.yaml", "config/container.yaml", "config/quickstart.yaml", *[
    f"config/examples/{file.name}" for file in sorted((ROOT / "config" / "examples").glob("*.yaml"))
]]  # fmt: skip


def mutated(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    place = chance.randrange(len(lines))
    other = chance.randrange(len(lines))
    kind = chance.randrange(9)
    if kind == 0:
        del lines[place]
    elif kind == 1:
        lines.insert(place, lines[other])
    elif kind == 2:
        lines[place] = "  " + lines[place]
    elif kind == 3:
        lines[place] = lines[place].replace(":", ": [", 1)
    elif kind == 4:
        lines[place] = lines[place].replace("1", "1e999", 1).replace("2", "-9" * 30, 1)
    elif kind == 5:
        lines[place] = lines[place].replace("'", "", 1)
    elif kind == 6:
        lines[place] = (
            lines[place].rstrip("\n")
            + chance.choice([" null", " &a", " *a", " !!binary x", " \x00", " {{", " \u2028"])
            + "\n"
        )
    elif kind == 7:
        lines[place], lines[other] = lines[other], lines[place]
    else:
        lines[place] = lines[place].replace("a", chance.choice(["\u0430", "A", "aa" * 500, "${HOME}", "%n"]), 1)
    return "".join(lines)


def small(text: str) -> str:
    """Returns a configuration with a bundle of a kilobyte in place of the default one, which takes seconds to check."""
    return re.sub(r"(\.\./)+models/pointsman-mini", str(BUNDLE), text)


def check_text(text: str, statuses: set[int], hidden: str = "") -> Callable[[], Outcome]:
    def check() -> Outcome:
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "pointsman.yaml")
            file.write_text(small(text), "utf-8", errors="surrogatepass")
            status, words = checked(file, PATIENCE)
            must(status in statuses, f"{status}: {words[-200:]}")
            must("panicked" not in words, words[-300:])
            must(not hidden or hidden not in words, f"it repeats the secret: {words[-300:]}")
            return Outcome(f"{status}")

    return check


def random_configs() -> list[Row]:
    chance = random.Random(17)
    made = []
    for number in range(120):
        source = SOURCES[number % len(SOURCES)]
        text = (ROOT / source).read_text("utf-8")
        for _ in range(chance.randint(1, 3)):
            text = mutated(text, chance)
        made.append(
            Row(
                "configurations",
                f"{source} changed by chance, {number}",
                "checked in time, no crash",
                check_text(text, STATUSES),
            )
        )
    return made


def base() -> str:
    peer = Peer()
    text = Scene().text(peer, peer)
    peer.close()
    return text


def secrets() -> list[Row]:
    text = base()
    urls = [
        f"http://user:{SECRET}@127.0.0.1:1/v1", f"http://{SECRET}@127.0.0.1:1/v1", f"http://127.0.0.1:1/v1?api_key={SECRET}", f"http://127.0.0.1:1/v1?key={SECRET}", f"http://user:{SECRET}@[::1/v1", f"htp://user:{SECRET}@x",
    ]  # fmt: skip
    forms: list[tuple[str, Callable[[str], str]]] = [
        (
            "base_url",
            lambda url: text.replace('base_url: "http://127.0.0.1', f'base_url: "{url}#', 1).replace("#", "", 1),
        ),
        ("a misspelt base_url", lambda url: text + f"\nproviderz:\n  a:\n    base_ulr: {url}\n"),
        (
            "a store",
            lambda url: text + f'\nstore: {{redis: {{url: "{url.replace("http", "redis")}", timeoutt: 5ms}}}}\n',
        ),
        ("a collector", lambda url: text + f'\ntracing: {{otlp: {{endpoint: "{url}", samplee: 1}}}}\n'),
        ("a block", lambda url: text + f"\nstore:\n  redis:\n    url: >-\n      {url}\n    timeoutt: 5ms\n"),
        ("an anchor", lambda url: text + f"\nconstants: {{a: &a '{url}', b: *a}}\nunknown: *a\n"),
    ]
    return [
        Row(
            "secrets",
            f"{url.replace(SECRET, '...')} in {name}",
            "refused or served; never repeated",
            check_text(form(url), STATUSES, SECRET),
        )
        for name, form in forms
        for url in urls
    ]


def shapes() -> list[Row]:
    text = base()
    policy = "    strategy:"
    wide = "".join(f"  m{n}: prompt.turns > {n}\n" for n in range(2000))
    long_chain = "".join(f"  c{n}: macros.c{n + 1}\n" for n in range(1000)) + "  c1000: prompt.turns > 1\n"
    forms = {
        "2,000 macros": f"{text}macros:\n{wide}",
        "a chain of 1,000 macros": f"{text.replace(policy, '    rules: [{when: macros.c0, use: small}]' + chr(10) + policy)}macros:\n{long_chain}",
        "a regular expression that explodes": text.replace(
            policy, "    rules: [{when: \"prompt.text.matches('(a+)+$')\", use: small}]\n" + policy
        ),
        "a regular expression that is huge": text.replace(
            policy, "    rules: [{when: \"prompt.text.matches('a{1000}{1000}')\", use: small}]\n" + policy
        ),
        "1,000 policies": text
        + "".join(
            f"  - name: p{n}\n    match: {{model: [m{n}]}}\n    strategy: {{kind: split, models: {{small: 1}}}}\n"
            for n in range(1000)
        ),
        "a fallback on itself": text + "    fallback: [small, small]\n",
        "a list of 200,000 constants": text + f"constants: {{c: {list(range(200_000))}}}\n",
        "a key of 1 MB": text + "k" * 1_000_000 + ": 1\n",
        "100,000 documents": text + "---\n" * 100_000,
        "UTF-16": text.encode("utf-16").decode("latin-1"),
        "a byte order mark": "\ufeff" + text,
        "tabs": text.replace("  ", "\t"),
        "old Mac line ends": text.replace("\n", "\r"),
        "a duration of years": text.replace("connect: 1s", "connect: 99999999999999999999y"),
        "a negative duration": text.replace("connect: 1s", "connect: -1s"),
        "a duration that overflows": text.replace("connect: 1s", "connect: 18446744073709551615s"),
        "a port beyond 65535": text.replace("127.0.0.1:0", "127.0.0.1:99999", 1),
        "a price that is NaN": text.replace("input: 0.1", "input: .nan"),
        "a price that is infinite": text.replace("input: 0.1", "input: .inf"),
        "a negative price": text.replace("input: 0.1", "input: -1"),
        "a weight of zero": text.replace("{small: 1}", "{small: 0}"),
    }
    return [
        Row("configurations", name, "checked in time, no crash", check_text(form, STATUSES))
        for name, form in forms.items()
    ]


Spoil = Callable[[pathlib.Path], object]


def in_place(file: str, change: Callable[[pathlib.Path], None]) -> Spoil:
    return lambda folder: change(folder / file)


def linked(target: str) -> Callable[[pathlib.Path], None]:
    def change(path: pathlib.Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return change


def emptied(path: pathlib.Path) -> None:
    path.write_bytes(b"")


def huge(path: pathlib.Path) -> None:
    path.unlink()
    chaos_files.sparse(path)


def foldered(path: pathlib.Path) -> None:
    path.unlink()
    path.mkdir()


def bundles() -> list[Row]:
    manifest = "bundle.yaml"

    def edit(old: str, new: str) -> Spoil:
        return lambda folder: (folder / manifest).write_text((folder / manifest).read_text().replace(old, new), "utf-8")

    spoils: dict[str, Spoil] = {
        "no manifest": lambda folder: (folder / manifest).unlink(),
        "an empty manifest": lambda folder: (folder / manifest).write_text(""),
        "a manifest of aliases": lambda folder: (folder / manifest).write_text(chaos_files.ALIASES),
        "a manifest nested deep": lambda folder: (folder / manifest).write_text("[" * 20_000),
        "a file outside": edit("file: model.onnx", "file: ../../model.onnx"),
        "a file by an absolute path": edit("file: tokenizer.json", "file: /etc/hostname"),
        "an unknown format": edit("format: 1", "format: 99"),
        "a head without labels": edit("labels: [simple, medium, complex]", "labels: []"),
        "a head with 100,000 labels": edit(
            "labels: [simple, medium, complex]", f"labels: [{', '.join(f'l{n}' for n in range(100_000))}]"
        ),
        "a dimension of a billion": edit("dimension: 4", "dimension: 1000000000"),
        "a negative dimension": edit("dimension: 4", "dimension: -1"),
        "a billion tokens": edit("max_tokens: 16", "max_tokens: 1000000000"),
        "a temperature of zero": edit("temperature: 1.5", "temperature: 0"),
        "a temperature that is NaN": edit("temperature: 1.5", "temperature: .nan"),
        "a hash that is none": edit("model.onnx: ", "model.onnx: zz"),
        "a file that is a link outside": in_place("model.onnx", linked("/etc/hostname")),
    }
    kinds: dict[str, Callable[[pathlib.Path], None]] = {
        "is gone": pathlib.Path.unlink,
        "is empty": emptied,
        "is cut": chaos_files.half,
        "is another": chaos_files.flipped,
        "is a pipe": chaos_files.piped,
        "is a device": linked("/dev/zero"),
        "is of 8 GiB": huge,
        "is a folder": foldered,
    }
    for file in ("heads.safetensors", "model.onnx", "tokenizer.json", "features.json", "golden.json"):
        spoils |= {f"{file} {kind}": in_place(file, change) for kind, change in kinds.items()}
    return [Row("bundles", name, "refused in time, no crash", check_bundle(spoil)) for name, spoil in spoils.items()]


def check_bundle(spoil: Spoil) -> Callable[[], Outcome]:
    def check() -> Outcome:
        with tempfile.TemporaryDirectory() as home:
            folder = pathlib.Path(home, "bundle")
            shutil.copytree(BUNDLE, folder)
            spoil(folder)
            scene = Scene(sections=f"classifiers: {{default: {{bundle: {folder}}}}}", strategy=chaos_files.TIERS)
            peer = Peer()
            file = pathlib.Path(home, "pointsman.yaml")
            file.write_text(scene.text(peer, peer), "utf-8")
            peer.close()
            status, words = checked(file, PATIENCE)
            must(status in STATUSES - {0}, f"{status}: {words[-200:]}")
            must("panicked" not in words, words[-300:])
            return Outcome(f"{status}")

    return check


def rows() -> list[Row]:
    return random_configs() + shapes() + secrets() + bundles()
