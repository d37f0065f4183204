"""Sphinx configuration: `sphinx-build --fail-on-warning docs site`."""

from importlib.util import find_spec

from copi_ref import __version__

project = "copi_ref"
author = "the copi_ref maintainers"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_gallery.gen_gallery"]
html_theme = "pydata_sphinx_theme"
myst_enable_extensions = ["dollarmath"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
exclude_patterns = ["_build"]

# --- the gallery: every example is run; those whose library is not installed are left out ---------------------------

_MISSING = [name for name in ("torch", "jax") if find_spec(name) is None]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "ignore_pattern": "|".join(rf"_{name}\.py$" for name in _MISSING) or r"(?!)",
    "within_subsection_order": "FileNameSortKey",
    "matplotlib_animations": True,
    "abort_on_example_error": True,
    "min_reported_time": 60,
    "show_memory": False,
    "download_all_examples": False,
}
