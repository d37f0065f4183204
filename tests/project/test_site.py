"""The built pages: nothing raw is left in them, they need no network, and on a phone nothing scrolls sideways.

`sphinx-build docs site && COPI_REF_SITE=site pytest tests/project/test_site.py`; what needs a browser takes chromium.
"""

import ast
import os
import re
import shutil
import threading
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jupytext
import pytest
from test_examples import EACH, EXAMPLES, LESSONS

pytestmark = pytest.mark.needs("site")
SITE = Path(os.environ.get("COPI_REF_SITE") or os.devnull)
PAGES = sorted(str(path.relative_to(SITE)) for path in SITE.rglob("*.html") if "_static" not in path.parts)


class Prose(HTMLParser):
    """The text that a reader sees as prose: no code, no formulas, no scripts."""

    SKIPPED = ("script", "style", "code", "pre", "head")
    EMPTY = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")

    def __init__(self):
        super().__init__()
        self.open, self.text, self.addresses = [], [], []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.addresses += [attributes[name] for name in ("src", "srcset") if attributes.get(name)]
        if tag == "link" and attributes.get("rel") in ("stylesheet", "icon", "preload", "modulepreload"):
            self.addresses.append(attributes["href"])
        if tag not in self.EMPTY:
            formula = "math" in (attributes.get("class") or "").split()
            self.open.append((tag, tag in self.SKIPPED or formula))

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            while self.open and self.open.pop()[0] != tag:
                pass

    def handle_data(self, data):
        if not any(skipped for _, skipped in self.open):
            self.text.append(data)


def prose_of(page):
    prose = Prose()
    prose.feed((SITE / page).read_text(encoding="utf-8"))
    return prose


def test_there_are_pages():
    assert {"index.html", "learn/index.html", "use/index.html", "check/index.html", "results/index.html"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_nothing_raw_is_left(page):
    text = " ".join("".join(prose_of(page).text).split())
    for raw in (r"\$", r"\{doc\}", r"\{py:", r"\{ref\}", r":::", r"\[\w+\]\(\S+\)", r"do not edit"):
        found = re.search(rf".{{0,40}}{raw}.{{0,40}}", text)
        assert not found, found[0]


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_fetched_from_elsewhere(page):
    assert [address for address in prose_of(page).addresses if re.match(r"(https?:)?//", address)] == []


def code_of(cells):
    """The code of each cell as Python sees it: comments, and an example's title, may be cells of text."""
    trees = [ast.parse(cell.source) for cell in cells if cell.cell_type == "code"]
    if trees and ast.get_docstring(trees[0]) is not None:
        del trees[0].body[0]
    return [ast.dump(tree) for tree in trees if tree.body]


def handed_out(name):
    """The cells of the notebook that a page links to."""
    (made,) = (SITE / "_downloads").rglob(f"{name}.ipynb")
    return jupytext.read(made).cells


@pytest.mark.parametrize("name", EACH)
def test_the_notebook_of_an_example_has_the_code_that_is_tested(name):
    """test_examples.py runs what jupytext makes of it; the one that is handed out sphinx-gallery has made."""
    tested = jupytext.read(EXAMPLES / f"{name}.py", fmt="py:percent").cells
    assert code_of(handed_out(name)) == code_of(tested)


@pytest.mark.parametrize("page", [pytest.param(page, id=page.stem) for page in LESSONS])
def test_the_notebook_of_a_lesson_has_the_code_that_is_tested(page):
    assert code_of(handed_out(page.stem)) == code_of(jupytext.read(page).cells)


# --- in a browser -----------------------------------------------------------------------------------------------------


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def served():
    """Serve the pages on this machine; the handler's sockets are closed with it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def tab():
    from playwright.sync_api import sync_playwright

    # `--no-sandbox`: where root runs it, as in a container, chromium starts in no other way
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield chromium.new_page()  # one tab for all pages: a new one takes longer to start than most pages to load
        chromium.close()


@pytest.fixture(scope="module")
def address():
    with served() as url:
        yield url


@contextmanager
def opened(tab, url, width):
    """Open a page that may ask this machine only; yield what its console says."""
    tab.set_viewport_size({"width": width, "height": 900})
    said = []
    listeners = {
        "console": lambda message: said.append(message.text) if message.type == "error" else None,
        "pageerror": lambda error: said.append(str(error)),
        "request": lambda request: said.append(request.url) if "127.0.0.1" not in request.url else None,
    }
    for event, listener in listeners.items():
        tab.on(event, listener)
    tab.goto(url, wait_until="load")
    tab.wait_for_function("!window.MathJax || !MathJax.startup || MathJax.startup.promise.then(() => true)")
    try:
        yield said
    finally:
        for event, listener in listeners.items():
            tab.remove_listener(event, listener)


@pytest.mark.needs("browser")
@pytest.mark.parametrize("page", PAGES)
def test_on_a_phone_nothing_scrolls_sideways_and_the_console_is_silent(page, tab, address):
    with opened(tab, address + page, 400) as said:
        width = tab.evaluate("document.documentElement.scrollWidth")
        assert width <= 400
        assert tab.locator("mjx-merror, [data-mjx-error]").count() == 0, "MathJax can't read a formula"
    assert said == []


@pytest.mark.needs("browser")
@pytest.mark.parametrize("page", ["index.html", "learn/equations.html", "results/claims.html", "api/credit.html"])
def test_the_header_is_one_line_and_the_section_is_listed(page, tab, address):
    with opened(tab, address + page, 1400):
        names = tab.locator(".bd-header .navbar-nav > .nav-item > a").all_inner_texts()
        assert [name.strip() for name in names] == ["Learn", "Use", "Check your code", "Results", "API"]
        tops = tab.evaluate("[...document.querySelectorAll('.bd-header .nav-item > a')].map(a => a.offsetTop)")
        assert len(set(tops)) == 1
        if page != "index.html":
            links = tab.locator(".bd-sidebar-primary .bd-links a")
            assert links.count() >= 4
            for box in [link.bounding_box() for link in links.all() if link.is_visible()]:
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= 340
