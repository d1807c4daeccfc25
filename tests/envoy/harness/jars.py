"""Where a cookie of ours can stand among its neighbours in a `Cookie` header, and what is left of them without it."""

import pytest

AMONG_NEIGHBOURS = [
    pytest.param("{0}; a=1; b=2", "a=1; b=2", id="first"),
    pytest.param("a=1; {0}; b=2", "a=1; b=2", id="middle"),
    pytest.param("a=1; b=2; {0}", "a=1; b=2", id="last"),
    pytest.param("a=1; {0}; b=2; {0}", "a=1; b=2", id="twice"),
]
