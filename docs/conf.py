"""Sphinx configuration: `sphinx-build --fail-on-warning docs site`."""

from copi_ref import __version__

project = "copi_ref"
author = "the copi_ref maintainers"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "pydata_sphinx_theme"
myst_enable_extensions = ["dollarmath"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
exclude_patterns = ["_build"]
