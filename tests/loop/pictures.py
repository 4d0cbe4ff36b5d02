"""Pictures of the page of compared answers, as a real browser shows it."""

from __future__ import annotations

import pathlib
import sys

from browser import Browser, program


def take(page: pathlib.Path, folder: pathlib.Path) -> None:
    """Takes the figures, the prompts and an opened prompt of a page."""
    path = program()
    if path is None:
        sys.exit("tests/loop: there is no Chromium (Debian's package chromium, or name one in CHROMIUM)")
    with Browser(path) as browser:
        browser.resize(1600, 1000, "light")
        browser.open(page)
        browser.until("document.querySelector('.row')")
        shoot(browser, folder / "loop-figures.png")
        browser.value("document.querySelector('.prompts').scrollIntoView()")
        shoot(browser, folder / "loop-prompts.png")
        browser.value("document.getElementById('list').focus()")
        browser.press("ArrowDown")  # a shorter prompt than the first, so that its answers are in view
        browser.press("Enter")
        browser.until("document.getElementById('detail').open")
        shoot(browser, folder / "loop-answers.png")


def shoot(browser: Browser, path: pathlib.Path) -> None:
    browser.value("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
    browser.picture(path)
