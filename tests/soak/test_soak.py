"""Proves, with fewer cookies than `make soak`, that a flood of unknown cookies changes nothing for those who are signed in."""

import pytest

import soak

COOKIES = 50_000


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return soak.run(COOKIES, tmp_path_factory.mktemp("soak"), print)


@pytest.mark.parametrize("claim", soak.CLAIMS, ids=lambda claim: claim.__name__)
def test_flood_of_unknown_cookies_breaks_no_claim(course, claim):
    holds, measured = claim(course)
    assert holds, f"{claim.__doc__}: {measured}"
