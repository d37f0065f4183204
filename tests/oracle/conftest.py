"""For all tests of the oracle: the inputs of a check are drawn once."""

from functools import lru_cache

import pytest

from copi_ref.oracle import checks
from copi_ref.oracle.naming import named


@pytest.fixture(autouse=True, scope="session")
def drawn_once():
    """Drawing takes longer than checking, and depends on nothing but the settings; every call gets copies."""
    with pytest.MonkeyPatch.context() as patch:
        draw = lru_cache(maxsize=200)(checks.draw_cases)
        for module in (checks, named):
            patch.setattr(module, "draw_cases", draw)
        yield
