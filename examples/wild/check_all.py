"""Make an environment for each public implementation, check it there, and write docs/check/in_the_wild.md from it.

As in::

    python examples/wild/check_all.py                    # all; half an hour, and 10 GB
    python examples/wild/check_all.py pclib pydeepity    # these two
"""

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from pathlib import Path

from libraries import LIBRARIES

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "check" / "in_the_wild.md"
OURS = ("numpy", "array-api-compat")
PRECISIONS = ("float64", "float32")


def interpreter(version):
    """Return a Python of at least this version, or None."""
    if sys.version_info >= version:
        return sys.executable
    return next((path for minor in range(version[1], 20) if (path := shutil.which(f"python3.{minor}"))), None)


def environment(library, folder):
    """Return the Python of an environment with the library; it is made unless it is there."""
    python = folder / library.name / "bin" / "python"
    made = folder / library.name / "made"
    if not made.exists():
        subprocess.run([interpreter(library.python), "-m", "venv", "--clear", folder / library.name], check=True)
        install = [python, "-m", "pip", "install", "--quiet"]
        alone = ["--no-deps"] if library.needs else []
        subprocess.run([*install, *alone, f"{library.name}=={library.version}"], check=True)
        subprocess.run([*install, *library.needs, *OURS], check=True)
        made.touch()
    return python


def results(library, folder):
    """Return what the checks in both precisions gave: {"float64": …, "float32": …}."""
    python, target = environment(library, folder), folder / f"{library.name}.json"
    paths = os.pathsep.join(str(path) for path in (ROOT, HERE))
    found = {}
    for precision in PRECISIONS:
        command = [python, "-W", "ignore", HERE / "check_one.py", library.adapter, precision, target]
        with open(folder / f"{library.name}.{precision}.log", "w") as log:
            done = subprocess.run(
                command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": paths, "COPI_REF_BACKEND": "numpy"}
            )
        if done.returncode:
            raise SystemExit(f"{library.name}, {precision}: see {log.name}")
        found[precision] = json.loads(target.read_text())
    return found


def lines(adapter):
    """Return how many lines of code an adapter has, without imports, conventions, docstrings and comments."""
    source = (HERE / f"{adapter}.py").read_text()
    tree, count = ast.parse(source), set()
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name != "conventions":
            count |= set(range(min([node.lineno, *(d.lineno for d in node.decorator_list)]), node.end_lineno + 1))
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            count -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    code = source.splitlines()
    return sum(bool(code[i - 1].strip()) and not code[i - 1].strip().startswith("#") for i in count)


def shown(worst):
    """Return an error in units of what rounding allows."""
    return "–" if worst is None else f"{worst:.2g}"


def rows(found):
    """Return, for each check, its name, its worst error in both precisions, its verdicts, and what it was."""
    by_name = {}
    for precision in PRECISIONS:
        for check in found[precision]["checks"]:
            by_name.setdefault(check["name"], {})[precision] = check
    for name, both in by_name.items():
        verdicts = {precision: check["verdict"] for precision, check in both.items()}
        yield name, [both.get(p, {}).get("worst") for p in PRECISIONS], verdicts, next(iter(both.values()))


def section(library, found):
    """Return the part of the page about one library."""
    table = list(rows(found))
    chosen = Counter(item for *_, check in table for item in check["conventions"].items())
    common = ", ".join(f"`{name}={value}`" for (name, value), n in chosen.items() if n == len(table))
    functions = ", ".join(f"`{name}`" for name in table[0][-1]["functions"])
    text = [
        f"### {library.name} {library.version}",
        "",
        f"{library.licence}; an adapter of {lines(library.adapter)} lines; {functions}; "
        f"conventions: {common or 'the defaults'}, and what the name of a check says.",
        "",
        "| check | float64 | float32 | verdict |",
        "|---|---|---|---|",
    ]
    for name, worst, verdicts, _ in table:
        same = len({verdict[:40] for verdict in verdicts.values()}) == 1  # numbers come later, and differ
        each = [*verdicts.values()][:1] if same else [f"{p}: {verdict}" for p, verdict in verdicts.items()]
        said = "; ".join(
            dict.fromkeys(textwrap.shorten(one.replace("|", "\\|"), 130, placeholder=" …") for one in each)
        )
        text.append(f"| {name} | {shown(worst[0])} | {shown(worst[1])} | {said} |")
    return "\n".join([*text, ""])


def rewritten(page, sections):
    """Return the page with new sections of these libraries, between their marks."""
    for name, text in sections.items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = page.partition(start)
        page = f"{before}{start}{text}{end}{rest.partition(end)[2]}"
    return page


def main():
    """Check those that were named, and write what came out into the page; True if a deviation is not so any more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="*", help="libraries; all by default", choices=[[], *(one.name for one in LIBRARIES)]
    )
    parser.add_argument("--environments", type=Path, default=Path(tempfile.gettempdir()) / "copi-ref-wild")
    chosen = parser.parse_args()
    chosen.environments.mkdir(parents=True, exist_ok=True)
    gone = []
    for library in LIBRARIES:
        if chosen.names and library.name not in chosen.names:
            continue
        if interpreter(library.python) is None:
            print(f"{library.name}: left out, needs Python {'.'.join(map(str, library.python))}")
            continue
        found = results(library, chosen.environments)
        PAGE.write_text(rewritten(PAGE.read_text(), {library.name: section(library, found)}))
        gone += [deviation for deviation in found["float32"]["deviations"] if not deviation["holds"]]
        right = sum(all(one.startswith("passed") for one in verdicts.values()) for _, _, verdicts, _ in rows(found))
        print(f"{library.name}: {right} passed", flush=True)
    for deviation in gone:
        print(f"not so any more, or not here: {deviation['name']}: {deviation['error']}")
    return bool(gone)


if __name__ == "__main__":
    sys.exit(main())
