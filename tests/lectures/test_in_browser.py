"""The lectures in a browser: a slider moves, a number follows; no request leaves this machine, no error is reported."""

import re
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest

pytestmark = [pytest.mark.needs("marimo"), pytest.mark.needs("browser")]

# By lecture: the slider, or list of choices, that is moved by a key, and what then shows another number.
MOVES = {
    "decorrelation": ("correlation of neighbours", "table[aria-label='C now']"),
    "one_step": ("η_W", "table[aria-label='new W₁']"),
    "credit": ("seed", "tr:nth-child(3) td:nth-child(3)"),
    "train": ("seed", "b[data-off]"),
    "inference_learning": ("γ", "b[data-energy]"),
    "is_it_copi": ("begin with", "marimo-callout-output pre, div > pre"),
}
# What reaches beyond the right edge, or out of its own box, and can't be scrolled to; marimo's elements have roots of
# their own.
CUT_OFF = """
    (() => {
        const below = e => e.shadowRoot ? [e, ...all(e.shadowRoot)] : [e];
        const all = root => [...root.querySelectorAll("*")].flatMap(below);
        const scrolls = e => e && (getComputedStyle(e).overflowX !== "visible" || scrolls(e.parentElement));
        const shown = e => ["H1", "H2", "P", "LI", "PRE", "TABLE", "svg", "SELECT", "BUTTON"].includes(e.tagName);
        const leaves = e => e.tagName !== "TABLE" && e.scrollWidth > e.clientWidth + 1;
        const beyond = e => e.getBoundingClientRect().right > innerWidth || leaves(e);
        const hidden = e => e.closest(".cm-editor") || (e.tagName === "svg" && e.getAttribute("role") !== "img");
        return all(document).filter(e => shown(e) && e.checkVisibility() && !hidden(e) && beyond(e) && !scrolls(e))
            .map(e => e.outerHTML.slice(0, 200));
    })()
"""


@pytest.fixture(scope="module")
def address():
    """The address of the list of lectures, with a server behind it."""
    command = [sys.executable, "-m", "copi_ref", "explore", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield re.search(r"http://127\.0\.0\.1:\S+", server.stdout.readline())[0]
        server.terminate()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    # `--no-sandbox`: where root runs it, as in a container, chromium starts in no other way
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextmanager
def opened(browser, address, lecture, width=1200):
    """Open a lecture without a network but this machine; yield the page and the list of what went wrong in it."""
    page = browser.new_page(viewport={"width": width, "height": 1000})
    wrong = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))

    def only_here(route):
        if re.match(r"(https?|wss?)://127\.0\.0\.1:", route.request.url):
            route.continue_()
        else:
            wrong.append(route.request.url)
            route.abort()

    page.route(re.compile(r"^(http|ws)"), only_here)
    page.goto(address.replace("index.py", f"{lecture}.py"))
    try:
        yield page, wrong
    finally:
        page.close()


@pytest.mark.parametrize("lecture", MOVES)
def test_a_slider_moves_a_number(lecture, address, browser):
    from playwright.sync_api import expect

    label, shows = MOVES[lecture]
    with opened(browser, address, lecture) as (page, wrong):
        number = page.locator(shows).first
        number.wait_for(timeout=60_000)
        before = number.inner_text()
        page.locator("marimo-slider, marimo-dropdown").filter(has_text=label).locator("[role=slider], select").focus()
        page.keyboard.press("ArrowRight")
        expect(number).not_to_have_text(before, use_inner_text=True, timeout=60_000)
        page.set_viewport_size({"width": 400, "height": 1000})
        page.wait_for_timeout(500)
        assert page.evaluate(CUT_OFF) == [], "on a phone nothing is cut off"
    assert wrong == []
