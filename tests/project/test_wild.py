"""Public implementations: adapters, licences and the page go together, and those that are installed here are right."""

import importlib
import importlib.metadata
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WILD = ROOT / "examples" / "wild"
PAGE = (ROOT / "docs" / "check" / "in_the_wild.md").read_text()


def imported(name):
    """Import a module of examples/wild, whose folder is no package."""
    sys.path.insert(0, str(WILD))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(WILD))


libraries, deviations = imported("libraries"), imported("deviations")
LIBRARIES = libraries.LIBRARIES
SHOWN = [name for name in vars(deviations) if any(name.startswith(f"{one.adapter[:-7]}") for one in LIBRARIES)]


def installed(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def test_each_library_has_an_adapter_a_permissive_licence_and_a_place_on_the_page():
    assert {one.adapter for one in LIBRARIES} == {path.stem for path in WILD.glob("*_adapter.py")}
    assert {one.licence for one in LIBRARIES} <= set(libraries.PERMISSIVE)
    for one in LIBRARIES:
        _, _, rest = PAGE.partition(f"<!-- {one.name} -->\n")
        section, end, _ = rest.partition(f"<!-- end of {one.name} -->")
        assert end
        assert section.startswith(f"### {one.name} {one.version}\n"), "examples/wild/check_all.py writes it"
        assert one.licence in section


def test_each_deviation_has_a_line_on_the_page():
    functions = {name for name, thing in vars(deviations).items() if getattr(thing, "__module__", "") == "deviations"}
    assert functions - {"raises"} == set(SHOWN)
    for name in SHOWN:
        assert PAGE.count(f"<br>`{name}` |") == 1


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_library_is_right_where_it_is_installed(library):
    if not installed(library.name):
        pytest.skip("not installed here: examples/wild/check_all.py checks each in an environment of its own")
    from copi_ref.oracle import check

    adapter = imported(library.adapter)
    precision = adapter.precisions[0]
    xp = importlib.import_module({"jax": "jax.numpy"}.get(adapter.library, adapter.library))
    known = getattr(adapter, "known", {}).get(precision)
    check(
        adapter.implementation,
        conventions=adapter.conventions,
        precision=precision,
        expected_failures=known,
        xp=xp,
    ).raise_if_failed()
