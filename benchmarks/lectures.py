"""How long the lectures take to answer, in a browser: from a key to the number that it changes.

`python benchmarks/lectures.py` starts `copi-ref explore` and chromium, and needs the extra `explore` and playwright.
*computed* is what the server's process computed for a touch, all that is further down on the page included.
"""

import re
import shutil
import statistics
import subprocess
import sys
import time

import psutil
from playwright.sync_api import Page, sync_playwright
from turns import machine, print_machine, usable_cores, worker_environment

TIMES = 12
# Lecture, what is touched, the keys that are pressed by turns, what changes.
TOUCHES = (
    ("decorrelation", "correlation of neighbours", ("ArrowLeft",), "table[aria-label='C now']"),
    ("decorrelation", "mean", ("ArrowRight", "ArrowLeft"), "table[aria-label='C now']"),
    ("one_step", "η_W", ("ArrowRight",), "table[aria-label='new W₁']"),
    ("one_step", "η_R", ("ArrowRight",), "table[aria-label='new R₁']"),
    ("one_step", "a number of y₀", ("ArrowUp",), "table[aria-label='new W₁']"),
    ("is_it_copi", "begin with", ("ArrowDown", "ArrowUp"), "div > pre"),
    ("credit", "sample", ("ArrowRight",), "svg[aria-label^='bars']"),
    ("train", "seed", ("ArrowRight", "ArrowLeft"), "b[data-off]"),
    ("inference_learning", "γ", ("ArrowLeft", "ArrowRight"), "b[data-energy]"),
)
FIELDS = "[role=slider], select"


def touch(page: Page, label: str) -> None:
    """Put the focus where the keys go."""
    if label == "a number of y₀":
        page.locator("marimo-matrix").first.locator("[tabindex], input, [role=spinbutton]").first.focus()
    else:
        page.locator("marimo-slider, marimo-dropdown").filter(has_text=label).locator(FIELDS).first.focus()


def seconds(page: Page, key: str, shows: str) -> float:
    """Press a key, and return the seconds until the page shows something else."""
    number = page.locator(shows).first
    before = number.text_content()
    start = time.perf_counter()
    page.keyboard.press(key)
    while number.text_content() == before:
        if time.perf_counter() - start > 30:
            raise TimeoutError(f"{key} changed nothing in {shows}")
    return time.perf_counter() - start


def computed(server: psutil.Process) -> float:
    """Return the seconds that the server has computed: unlike the others, they hardly depend on what else runs."""
    times = [process.cpu_times() for process in (server, *server.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def main() -> None:
    """Print a table of latencies."""
    command = [sys.executable, "-m", "copi_ref", "explore", "--no-browser"]
    print_machine(machine(usable_cores()))
    print(
        f"\n{TIMES} touches each\n{'lecture':20} {'touched':28} {'median':>8} {'longest':>8} {'computed':>9}   seconds"
    )
    environment = worker_environment(usable_cores())  # what the machine was described with
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server,
        sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            assert server.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\S+", server.stdout.readline())
            assert found is not None
            for lecture, label, keys, shows in TOUCHES:
                page = chromium.new_page(viewport={"width": 1200, "height": 1000})
                page.goto(found[0].replace("index.py", f"{lecture}.py"))
                page.locator(shows).first.wait_for(timeout=60_000)
                page.wait_for_timeout(1000)
                touch(page, label)
                taken, before = [], computed(psutil.Process(server.pid))
                for turn in range(TIMES):
                    taken.append(seconds(page, keys[turn % len(keys)], shows))
                    page.wait_for_timeout(400)  # what is further down is still being computed
                own = (computed(psutil.Process(server.pid)) - before) / TIMES
                print(
                    f"{lecture:20} {label:28} {statistics.median(taken):8.3f} {max(taken):8.3f} {own:9.3f}", flush=True
                )
                page.close()
        finally:
            chromium.close()
            server.terminate()


if __name__ == "__main__":
    main()
