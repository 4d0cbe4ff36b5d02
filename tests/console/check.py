#!/usr/bin/env python3
"""Opens every page of the console in a real browser, with no, one and many requests, and uses what is on them.

POINTSMAN names the binary, REQUESTS how many are many. Pictures go to target/console, with `--docs` into docs/ as well.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reports"))

from browser import Browser, program  # noqa: E402
from stage import ROOT, Stage  # noqa: E402

REQUESTS = int(os.environ.get("REQUESTS", "400"))
PICTURES = ROOT / "target" / "console"
WIDTHS = ((1600, 1000), (360, 780))
PAGES = (
    "overview",
    "decisions",
    "policies",
    "classifiers",
    "upstreams",
    "generations",
    "configuration",
    "playground",
)
# The largest picture of the docs, in bytes.
MOST_BYTES = 150_000


def main() -> None:
    path = program()
    if path is None:
        sys.exit("tests/console: there is no Chromium (Debian's package chromium, or name one in CHROMIUM)")
    PICTURES.mkdir(parents=True, exist_ok=True)
    with Browser(path) as browser:
        with Stage(edit=True, clients=True) as stage:
            nothing_yet(browser, stage)
            one(browser, stage)
            many(browser, stage)
            decisions(browser, stage)
            policies(browser)
            classifiers(browser)
            upstreams(browser)
            configuration(browser, stage)
            generations(browser)
            playground(browser, stage)
            keys(browser)
            fits_everywhere(browser, stage)
            asks_nobody(browser, stage)
        with Stage(edit=False, clients=False) as stage:
            reads_only(browser, stage)
            asks_nobody(browser, stage)
        with Stage(edit=True, clients=False, auth=True) as stage:
            knows_its_users(browser, stage)
            asks_nobody(browser, stage)
    print(json.dumps({"pages": len(PAGES), "requests": REQUESTS}))


def visit(browser: Browser, stage: Stage, page: str) -> None:
    browser.call("Page.navigate", url=f"http://{stage.admin}/console/#/{page}")
    browser.until(f"document.querySelector('.page-{page}')")


def turn_to(browser: Browser, page: str) -> None:
    browser.value(f"location.hash = '#/{page}'")
    browser.until(f"document.querySelector('.page-{page}')")


def said(browser: Browser, selector: str = "#content") -> str:
    return str(browser.value(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))


def until_said(browser: Browser, words: str, selector: str = "#content") -> None:
    browser.until(f"(document.querySelector({json.dumps(selector)})?.innerText ?? '').includes({json.dumps(words)})")


def click(browser: Browser, words: str, within: str = "body") -> None:
    """Presses the button with these words."""
    script = f"[...document.querySelectorAll({json.dumps(within + ' button')})]"
    script += f".find((button) => button.innerText.trim() === {json.dumps(words)}"
    script += " && !button.disabled && button.checkVisibility())"
    browser.until(script)
    browser.value(f"{script}.click()")


def nothing_yet(browser: Browser, stage: Stage) -> None:
    browser.resize(1600, 1000, "light")
    visit(browser, stage, "overview")
    until_said(browser, "No request has come yet")
    until_said(browser, "generation 1", "#state")
    turn_to(browser, "decisions")
    until_said(browser, "No decision has been seen yet")
    drawn(browser, 0)


def one(browser: Browser, stage: Stage) -> None:
    turn_to(browser, "decisions")
    browser.until("/decisions a second/.test(document.querySelector('.stream-state').innerText)")
    stage.ask(1)
    browser.until("document.querySelectorAll('.row[data-number]').length === 1")
    turn_to(browser, "overview")
    until_said(browser, "Savings by policy")
    browser.until("document.querySelectorAll('[aria-label=Models] tbody tr').length === 3")
    until_said(browser, "1 request")
    drawn(browser, 1)


def drawn(browser: Browser, requests: int) -> None:
    """Takes every page in both themes, after so few requests."""
    for scheme in ("light", "dark"):
        browser.resize(1600, 1000, scheme)
        for page in PAGES:
            turn_to(browser, page)
            browser.until("document.querySelector('.card, .row, .figure, .empty')")
            browser.value("new Promise((go) => setTimeout(go, 500))")
            picture(browser, f"{requests}-{page}-{scheme}")
    browser.resize(1600, 1000, "light")
    turn_to(browser, "overview")


def many(browser: Browser, stage: Stage) -> None:
    before = browser.value("document.querySelector('.figures').offsetHeight")
    stage.ask(REQUESTS)
    click(browser, "Since start")
    until_said(browser, f"{REQUESTS + 1:,} requests")
    until_said(browser, "net of judges and shadows")
    until_said(browser, "search-team", "[aria-label=Clients]")
    after = browser.value("document.querySelector('.figures').offsetHeight")
    assert before == after, f"the figures moved from {before} to {after} px"
    assert "simple → small" in said(browser), said(browser)


def decisions(browser: Browser, stage: Stage) -> None:
    turn_to(browser, "decisions")
    browser.until("/decisions a second/.test(document.querySelector('.stream-state').innerText)")
    stage.ask(12, 1)
    browser.until("document.querySelectorAll('.row[data-number]').length >= 12")
    rows = browser.value("document.querySelectorAll('.row[data-number]').length")
    before = time.monotonic()
    stage.ask(200)
    browser.until(f"document.querySelectorAll('.row[data-number]').length > {rows}")
    looks = 2 + int(time.monotonic() - before)  # one each second
    shown = browser.value("document.querySelectorAll('.row[data-number]').length")
    assert rows < shown <= min(200, rows + 25 * looks), f"{shown} rows of 200 more requests in {looks} looks"
    click(browser, "Pause")
    browser.press("ArrowDown")
    browser.press("ArrowDown")
    browser.press("Enter")
    until_said(browser, "Candidates", ".drawer")
    text = said(browser, ".drawer")
    for part in ("Decision", "Rules", "Classifier default", "Features", "As JSON", "Answered by", "Prompt"):
        assert part in text, f"no {part} in {text}"
    browser.press("Escape")
    browser.until("!document.querySelector('.drawer').open")
    browser.press("/")
    browser.until("document.activeElement.type === 'search'")
    browser.call("Input.insertText", text="no such words anywhere")
    until_said(browser, "None of these decisions fits")
    browser.value(
        "{ const it = document.querySelector('[type=search]'); it.value = ''; it.dispatchEvent(new Event('input')); }"
    )
    click(browser, "Go on")


def policies(browser: Browser) -> None:
    turn_to(browser, "policies")
    until_said(browser, "1 warning")
    assert "policies[0].rules[2]" in said(browser), said(browser)
    until_said(browser, "Scores of")
    browser.until("document.querySelectorAll('.score-bar').length > 20")
    click(browser, "Take out of service", "#policy-auto")
    click(browser, "Take out", "#confirm")
    until_said(browser, "out of service", "#policy-auto")
    click(browser, "Put back", "#policy-auto")
    click(browser, "Put back", "#confirm")
    browser.until("!document.querySelector('#policy-auto .chip.bad')")


def classifiers(browser: Browser) -> None:
    turn_to(browser, "classifiers")
    until_said(browser, "Where scores come from")
    until_said(browser, "pointsman-mini")


def upstreams(browser: Browser) -> None:
    turn_to(browser, "upstreams")
    until_said(browser, "economy")
    text = said(browser)
    assert "open" in text and "first" in text and "Conversations held" in text, text


def edit(browser: Browser, old: str, new: str) -> None:
    browser.until("document.getElementById('editor').value.length > 100")
    changed = f"it.value.replace({json.dumps(old)}, {json.dumps(new)})"
    typed = f"it.value = {changed}; it.dispatchEvent(new Event('input'));"
    browser.value(f"{{ const it = document.getElementById('editor'); {typed} }}")


def configuration(browser: Browser, stage: Stage) -> None:
    turn_to(browser, "configuration")
    until_said(browser, "serves", ".editor-state")
    edit(browser, "otherwise: standard", "otherwise: strandard")
    click(browser, "Check")
    until_said(browser, "1 problem", ".findings")
    line = stage.file.read_text().split("\n").index("      otherwise: standard") + 1
    assert f"line {line}" in said(browser, ".findings"), said(browser, ".findings")
    assert browser.value("document.querySelector('.gutter .line.bad').innerText") == str(line)
    picture(browser, "configuration-problem")
    edit(browser, "otherwise: strandard", "otherwise: standard")
    edit(browser, "expect: {model: small}", "expect: {model: frontier}")
    click(browser, "Check")
    until_said(browser, "1 test fails", ".findings")
    edit(browser, "expect: {model: frontier}}", "expect: {model: small}}")
    edit(browser, "min_confidence: 0.45", "min_confidence: 0.5")
    click(browser, "Save")
    click(browser, "Save", "#confirm")
    until_said(browser, "Generation 2 serves", ".findings")
    assert "min_confidence: 0.5\n" in stage.file.read_text()
    # Another hand changes the file: what is typed here does not go over it.
    text = stage.file.read_text()
    stage.file.write_text(text.replace("backoff: 20s", "backoff: 25s"))
    edit(browser, "min_confidence: 0.5", "min_confidence: 0.55")
    click(browser, "Save")
    click(browser, "Save", "#confirm")
    until_said(browser, "has changed since it was read", ".findings")
    assert "0.55" not in stage.file.read_text()
    click(browser, "Read the file again, and lose what is typed here")
    browser.until("document.getElementById('editor').value.includes('backoff: 25s')")
    click(browser, "Compare")
    browser.until("document.querySelectorAll('.diff-line.added').length > 0")
    click(browser, "Bring back")
    click(browser, "Save")
    click(browser, "Save", "#confirm")
    browser.until("/Generation \\d+ serves/.test(document.querySelector('.findings').innerText)")
    assert "min_confidence: 0.45\n" in stage.file.read_text()


def generations(browser: Browser) -> None:
    turn_to(browser, "generations")
    until_said(browser, "Against generation")
    browser.until("document.querySelectorAll('.diff-line.added').length > 0")
    before = int(browser.value("document.querySelector('.generation-number').innerText"))
    click(browser, "Roll back")
    click(browser, "Roll back", "#confirm")
    until_said(browser, "rolled back", ".generations")
    browser.until(f"document.querySelector('.generation-number').innerText === '{before + 1}'")
    browser.value("document.querySelector('.generations').focus()")
    browser.press("ArrowDown")
    browser.until("document.querySelectorAll('.generation')[1].classList.contains('active')")


def playground(browser: Browser, stage: Stage) -> None:
    turn_to(browser, "playground")
    browser.until("document.querySelectorAll('#asked option').length > 2")
    browser.press("/")
    browser.call("Input.insertText", text="Prove that the square root of 2 is irrational, and generalise it to primes.")
    click(browser, "Decide")
    until_said(browser, "Candidates")
    browser.value("document.querySelectorAll('.models input').forEach((box) => { box.checked = true; })")
    click(browser, "Send")
    until_said(browser, "401", ".answers")
    browser.value(f"document.getElementById('key').value = {json.dumps(stage.key)}")
    click(browser, "Send")
    browser.until("document.querySelectorAll('.answers .chip.good').length === 5")
    assert "This is what tiny-1 says." in said(browser, ".answers"), said(browser, ".answers")


def keys(browser: Browser) -> None:
    browser.value("document.activeElement.blur()")
    for number, page in enumerate(PAGES, 1):
        browser.press(str(number))
        browser.until(f"document.querySelector('.page-{page}')")
        assert browser.value("document.querySelector('nav [aria-current]').dataset.page") == page
    browser.value("document.querySelector('nav a').focus()")
    browser.press("ArrowRight")
    assert browser.value("document.activeElement.dataset.page") == "decisions"
    browser.press("?")
    browser.until("document.getElementById('help').open")
    browser.press("Escape")
    browser.until("!document.getElementById('help').open")
    browser.press("t")
    assert browser.value("document.documentElement.dataset.theme") == "light"
    browser.press("t")
    browser.press("t")
    assert browser.value("document.documentElement.dataset.theme") == "auto"


def fits_everywhere(browser: Browser, stage: Stage) -> None:
    """Takes every page in two widths and two themes, and looks for what does not fit."""
    browser.value("document.activeElement.blur()")
    stage.ask(40)
    browser.until("document.getElementById('toast').hidden")
    for width, height in WIDTHS:
        for scheme in ("light", "dark"):
            browser.resize(width, height, scheme)
            for page in PAGES:
                turn_to(browser, page)
                browser.value("scrollTo(0, 0)")
                if page == "decisions":
                    browser.until("document.querySelector('.stream-state').innerText.length > 5")
                    stage.ask(14, 1)
                    browser.until("document.querySelectorAll('.row[data-number]').length >= 14")
                if page == "playground":
                    browser.until("document.querySelectorAll('#asked option').length > 2")
                    click(browser, "Decide")
                    until_said(browser, "Candidates")
                browser.until("document.querySelector('.card, .row, .figure')")
                browser.value("new Promise((go) => setTimeout(go, 500))")
                wide = browser.value("document.documentElement.scrollWidth")
                assert wide <= width, f"{page} is {wide} px wide at {width} px"
                picture(browser, f"{page}-{width}-{scheme}")
            turn_to(browser, "decisions")
            browser.value("document.querySelector('.row[data-number]').click()")
            until_said(browser, "Candidates", ".drawer")
            picture(browser, f"decision-{width}-{scheme}")
            browser.press("Escape")


def reads_only(browser: Browser, stage: Stage) -> None:
    """The file is shown and not changed where nobody has allowed it."""
    browser.resize(1600, 1000, "light")
    visit(browser, stage, "configuration")
    until_said(browser, "Read only", ".editor-state")
    assert browser.value("document.getElementById('editor').readOnly")
    refused = "fetch('/api/configuration/check', {method: 'POST', headers: {'content-type': 'application/json'}, "
    refused += "body: JSON.stringify({text: 'version: 1'})}).then((answer) => answer.status)"
    assert browser.value(refused) == 403


def knows_its_users(browser: Browser, stage: Stage) -> None:
    """A token is asked for and kept for the tab; what its role may not do is not offered."""
    browser.resize(1600, 1000, "light")
    visit_anew(browser, stage)
    log_in(browser, "nobody-s")
    until_said(browser, "Nobody has this token here", "#login-text")
    picture(browser, "login")
    log_in(browser, "view-token")
    until_said(browser, "view · view", "#caller")
    assert browser.value("sessionStorage.getItem('pointsman-admin-token')") == "view-token"
    assert "token" not in str(browser.value("location.href + document.cookie"))
    assert (
        offered(browser, "policies", "Take all out of service") == []
        and offered(browser, "generations", "Roll back") == []
    )
    assert offered(browser, "configuration", "Save") == [] and offered(browser, "playground", "Decide") == []
    click(browser, "Log out")
    browser.until("document.getElementById('login')?.open")
    log_in(browser, "operate-token")
    until_said(browser, "operate · operate", "#caller")
    until_offered(browser, "policies", "Take all out of service")
    assert offered(browser, "configuration", "Save") == []
    click(browser, "Log out")
    log_in(browser, "edit-token")
    until_said(browser, "edit · edit", "#caller")
    until_offered(browser, "configuration", "Save")
    browser.until("!document.getElementById('editor').readOnly")
    click(browser, "Log out")
    browser.until("document.getElementById('login')?.open")
    click(browser, "Cancel", "#login")
    until_said(browser, "nobody", "#caller")


def visit_anew(browser: Browser, stage: Stage) -> None:
    browser.call("Page.navigate", url=f"http://{stage.admin}/console/#/overview")
    browser.until("document.getElementById('login')?.open")


def log_in(browser: Browser, token: str) -> None:
    browser.until("document.getElementById('login')?.open")
    browser.value(f"document.getElementById('login-token').value = {json.dumps(token)}")
    click(browser, "Log in", "#login")


def offered(browser: Browser, page: str, words: str) -> list[str]:
    """Returns the buttons with these words that a page shows."""
    turn_to(browser, page)
    browser.until("document.querySelectorAll('#content button').length > 0")
    shown = "[...document.querySelectorAll('#content button')].filter((own) => own.checkVisibility())"
    return [said for said in browser.value(f"{shown}.map((own) => own.innerText.trim())") if said == words]


def until_offered(browser: Browser, page: str, words: str) -> None:
    turn_to(browser, page)
    shown = "[...document.querySelectorAll('#content button')].filter((own) => own.checkVisibility())"
    browser.until(f"{shown}.some((own) => own.innerText.trim() === {json.dumps(words)})")


def asks_nobody(browser: Browser, stage: Stage) -> None:
    """Nothing but this process was asked, nothing was thrown, and the browser refused nothing."""
    asked = {event["request"]["url"] for event in browser.seen("Network.requestWillBeSent")}
    elsewhere = {url for url in asked if not url.startswith((f"http://{stage.admin}/", "about:"))}
    elsewhere = {url for url in elsewhere if not url.startswith("http://127.0.0.1:")}
    assert not elsewhere, elsewhere
    thrown = browser.seen("Runtime.exceptionThrown")
    assert not thrown, thrown
    logged = [event["entry"] for event in browser.seen("Log.entryAdded")]
    wrong = [entry for entry in logged if entry.get("source") == "security"]
    assert not wrong, wrong


def picture(browser: Browser, name: str) -> None:
    browser.value("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
    target = PICTURES / f"{name}.png"
    browser.picture(target)
    if "--docs" in sys.argv and name.endswith(("-light", "-dark")):
        compress(target, ROOT / "docs" / "console" / f"{name}.png")


def compress(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copies a picture with fewer colours."""
    target.parent.mkdir(exist_ok=True)
    tool = shutil.which("pngquant") or sys.exit("tests/console: there is no pngquant (Debian's package) for --docs")
    subprocess.run([tool, "--force", "--strip", "--output", str(target), "64", str(source)], check=True)
    assert target.stat().st_size <= MOST_BYTES, f"{target.name} has {target.stat().st_size} bytes"


if __name__ == "__main__":
    main()
