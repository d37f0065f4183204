"""Sphinx configuration: `sphinx-build --fail-on-warning docs site`."""

import sys
from importlib.util import find_spec
from pathlib import Path

from copi_ref import __version__

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

project = "copi_ref"
author = "the copi_ref maintainers"
version = release = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",  # MathJax itself, so that mathematics needs no network
    # what is here, in extensions/
    "names_in_code",
    "unicode_mathematics",
    "notebooks",
    "anchors",
    "filtered_tables",
    "animations",
    "sources",
]
exclude_patterns = ["_build"]

# --- pages ----------------------------------------------------------------------------------------------------------

myst_enable_extensions = ["dollarmath", "attrs_block", "colon_fence"]
myst_heading_anchors = 3
default_role = "py:obj"  # `sgd_update` in a docstring
autosummary_generate = False
toc_object_entries_show_parents = "hide"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True
copybutton_exclude = ".linenos, .gp, .go"

# --- how they look --------------------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "copi_ref"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["copi.css"]
html_show_sourcelink = False
html_sidebars = {"index": []}
html_context = {"default_mode": "auto"}  # the theme's own default, without its message in the console
html_theme_options = {
    "header_links_before_dropdown": 5,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "secondary_sidebar_items": {"index": [], "**": ["page-toc"]},
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
}

# --- the gallery: every example is run; those whose library is not installed are shown without their output ---------

_MISSING = [name for name in ("torch", "jax") if find_spec(name) is None]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "learn/gallery",
    "filename_pattern": "".join(rf"(?<!_{name})" for name in _MISSING) + r"\.py$",
    "ignore_pattern": r"(?!)",
    "within_subsection_order": "gallery_order.AsInTheCourse",
    "matplotlib_animations": True,
    "abort_on_example_error": True,
    "min_reported_time": 0,
    "write_computation_times": False,  # each page has its own; the table of all would be fetched from elsewhere
    "show_memory": False,
    "remove_config_comments": True,
    "download_all_examples": False,
}
