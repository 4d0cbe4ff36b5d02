#!/usr/bin/env python3
"""Opens the page of `pointsman eval --answers --report` with 10,000 prompts in a real browser, and uses it.

POINTSMAN names the binary, ROWS how many prompts. Pictures go to target/reports, with `--docs` into docs/ as well.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import answers  # noqa: E402
from browser import Browser, program  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
POINTSMAN = os.environ.get("POINTSMAN", str(ROOT / "target" / "debug" / "pointsman"))
ROWS = int(os.environ.get("ROWS", "10000"))
PICTURES = ROOT / "target" / "reports"
# What a person takes for at once, and for soon, in milliseconds; a busy machine gets five times as long.
AT_ONCE, SOON = 500, 5000
COUNT = "document.getElementById('count').textContent"
DONE = f"!{COUNT}.includes('searching')"


def main() -> None:
    path = program()
    if path is None:
        sys.exit("tests/reports: there is no Chromium (Debian's package chromium, or name one in CHROMIUM)")
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pointsman-reports-") as folder, Browser(path) as browser:
        page = report(pathlib.Path(folder))
        browser.resize(1600, 1000, "light")
        took = {"open": opened(browser, page)}
        took |= filtered(browser)
        took |= scrolled(browser)
        keyboard(browser)
        texts_stay_texts(browser)
        asks_nobody(browser, page)
        pictures(browser)
        print(json.dumps({"rows": ROWS, "page_mb": round(page.stat().st_size / 1e6, 1), "milliseconds": took}))


def report(folder: pathlib.Path) -> pathlib.Path:
    """Writes answers and lets the binary make the page."""
    data = folder / "graded.jsonl"
    answers.write(data, ROWS)
    started = time.monotonic()
    command = [POINTSMAN, "eval", "--answers", str(data), "--report", str(folder / "report"), "--json"]
    figures = json.loads(subprocess.run(command, check=True, capture_output=True, cwd=folder).stdout)
    print(f"{figures['n']} prompts compared in {time.monotonic() - started:.1f} s", flush=True)
    assert figures["n"] == ROWS and len(figures["models"]) == 3 and len(figures["routers"]) == 1, figures
    return folder / "report" / "index.html"


def opened(browser: Browser, page: pathlib.Path) -> float:
    started = time.monotonic()
    browser.open(page)
    browser.until(f"{COUNT}.includes('{ROWS:,} of')")
    took = 1000 * (time.monotonic() - started)
    assert took < SOON, f"opening took {took:.0f} ms"
    rows = browser.value("document.querySelectorAll('.row').length")
    assert 10 < rows < 60, f"{rows} rows are made for one view"
    first = browser.value("document.querySelector('.row .badge').textContent")
    assert first == "wrong", f"the first choice is {first}"
    return round(took)


def timed(browser: Browser, act: str, until: str = DONE) -> int:
    """Returns how many milliseconds the page needs from an act to its next picture, when `until` holds."""
    look = f"() => ({until}) ? requestAnimationFrame(() => go()) : setTimeout(look, 5)"
    wait = f"await new Promise((go) => {{ const look = {look}; look(); }})"
    script = f"const from = performance.now(); {act}; {wait}; return performance.now() - from;"
    return round(float(browser.value(f"(async () => {{ {script} }})()")))


def choose(name: str, text: str) -> str:
    """Returns the script that chooses an option by its text."""
    return (
        f"{{ const select = document.getElementById('{name}');"
        f" select.value = [...select.options].find((option) => option.text === '{text}').value;"
        f" select.dispatchEvent(new Event('change')); }}"
    )


def search(words: str) -> str:
    return (
        f"{{ const text = document.getElementById('text'); text.value = {json.dumps(words)};"
        " text.dispatchEvent(new Event('input')); } await new Promise((go) => setTimeout(go, 130))"
    )


def shown(browser: Browser) -> int:
    return int(browser.value(f"{COUNT}.split(' of ')[0].replaceAll(',', '')"))


def filtered(browser: Browser) -> dict[str, int]:
    took = {"filter": timed(browser, choose("verdict", "wrong"))}
    wrong = shown(browser)
    took["filter_again"] = timed(browser, choose("label", "complex"))
    assert 0 < shown(browser) < wrong < ROWS
    labels = browser.value(
        "[...document.querySelectorAll('.row .label')].every((it) => it.textContent.startsWith('complex'))"
    )
    assert labels, "a row of another label"
    timed(browser, choose("verdict", "all"))
    timed(browser, choose("label", "all"))
    took["order"] = timed(browser, choose("order", "slowest"))
    timed(browser, choose("order", "choices that matter"))
    took["first_search"] = timed(browser, search("number 4321."))
    assert shown(browser) == 1 or ROWS <= 4321, shown(browser)
    took["search"] = timed(browser, search("Says: "))
    assert shown(browser) == ROWS, shown(browser)
    timed(browser, search("no such words anywhere"))
    assert shown(browser) == 0 and browser.value("document.querySelector('.empty') !== null")
    timed(browser, search(""))
    for name, limit in {
        "filter": AT_ONCE,
        "filter_again": AT_ONCE,
        "order": AT_ONCE,
        "search": SOON,
        "first_search": SOON,
    }.items():
        assert took[name] < limit, f"{name} took {took[name]} ms"
    return took


def scrolled(browser: Browser) -> dict[str, int]:
    jump = "{ const list = document.getElementById('list'); list.scrollTop = list.scrollHeight / 2; }"
    took = timed(browser, jump, f"Number(document.querySelector('.row').dataset.place) > {ROWS // 4}")
    assert took < AT_ONCE, f"scrolling took {took} ms"
    browser.value("document.getElementById('list').scrollTop = 0")
    return {"scroll": took}


def keyboard(browser: Browser) -> None:
    browser.value("document.getElementById('list').focus()")
    active = "document.querySelector('.row.active').dataset.place"
    browser.press("ArrowDown")
    browser.press("ArrowDown")
    assert browser.value(active) == "2"
    browser.press("End")
    assert browser.value(active) == str(ROWS - 1)
    browser.press("Home")
    browser.press("Enter")
    browser.until("document.getElementById('detail').open")
    sections = browser.value("document.querySelectorAll('#body .answers section').length")
    assert sections == 4, f"{sections} answers side by side"
    title = "document.getElementById('detail-title').textContent"
    browser.press("ArrowRight")
    assert browser.value(title).startswith("2 of "), browser.value(title)
    browser.press("ArrowLeft")
    browser.press("Escape")
    browser.until("!document.getElementById('detail').open")
    assert browser.value("document.activeElement.id") == "list", "the focus is lost"
    browser.press("/")
    assert browser.value("document.activeElement.id") == "text"


def texts_stay_texts(browser: Browser) -> None:
    """Opens every prompt whose texts try to be markup."""
    timed(browser, search("onerror"))
    found = shown(browser)
    assert found > 0
    browser.value("document.getElementById('list').focus()")
    browser.press("Enter")
    for _ in range(min(found, 20) - 1):
        browser.press("ArrowRight")
    assert browser.value("document.querySelectorAll('#body img, #body svg, #body script, #body b').length") == 0
    assert "onerror" in browser.value("document.getElementById('body').textContent")
    assert browser.value("document.title") != "taken"
    browser.press("Escape")
    timed(browser, search(""))


def asks_nobody(browser: Browser, page: pathlib.Path) -> None:
    asked = {event["request"]["url"] for event in browser.seen("Network.requestWillBeSent")}
    assert asked <= {page.resolve().as_uri(), "about:blank"}, asked
    logged = [event["entry"]["text"] for event in browser.seen("Log.entryAdded")]
    assert not logged, logged
    thrown = browser.seen("Runtime.exceptionThrown")
    assert not thrown, thrown


def pictures(browser: Browser) -> None:
    """Takes the page and an opened prompt in two widths and two themes, and looks for what does not fit."""
    for width, height in ((1600, 1000), (360, 780)):
        for scheme in ("light", "dark"):
            browser.resize(width, height, scheme)
            browser.value("scrollTo(0, 0)")
            wide = browser.value("document.documentElement.scrollWidth")
            assert wide <= width, f"the page is {wide} px wide at {width} px"
            picture(browser, f"{width}-{scheme}-figures")
            browser.value("document.querySelector('.prompts').scrollIntoView()")
            picture(browser, f"{width}-{scheme}-prompts")
            browser.value("document.getElementById('list').focus()")
            browser.press("Enter")
            browser.until("document.getElementById('detail').open")
            wide = browser.value(
                "document.getElementById('body').scrollWidth - document.getElementById('body').clientWidth"
            )
            assert wide <= 0, f"an answer is {wide} px too wide at {width} px"
            picture(browser, f"{width}-{scheme}-answers")
            browser.press("Escape")


def picture(browser: Browser, name: str) -> None:
    browser.value("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
    browser.picture(PICTURES / f"{name}.png")
    if "--docs" in sys.argv and name in ("1600-light-prompts", "1600-light-answers"):
        browser.picture(ROOT / "docs" / f"comparison-{name.rsplit('-', 1)[1]}.png")


if __name__ == "__main__":
    main()
