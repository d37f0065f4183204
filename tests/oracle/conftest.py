"""For all tests of the oracle: the inputs of a check are drawn once."""

from functools import lru_cache

import pytest

from copi_ref.oracle import checks


@pytest.fixture(autouse=True, scope="session")
def drawn_once():
    """Drawing takes longer than checking, and depends on nothing but the settings; every call gets copies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "draw_cases", lru_cache(maxsize=120)(checks.draw_cases))
        yield
