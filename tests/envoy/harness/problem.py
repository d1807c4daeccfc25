"""What every local reply of the filter looks like."""

from __future__ import annotations

from .client import Answer


def assert_problem(answer: Answer, status: int) -> dict:
    """Checks an RFC 9457 reply that must never be stored, and gives its body."""
    assert answer.status == status, f"expected {status}, got {answer.status}: {answer.body[:400]!r}"
    assert answer.value("content-type") == "application/problem+json"
    assert answer.value("cache-control") == "no-store"
    problem = answer.json()
    assert isinstance(problem["detail"], str) and problem["detail"]
    assert problem["status"] == status
    challenge = answer.value("www-authenticate")
    if status == 401:
        assert challenge == "Bearer" or challenge.startswith("Bearer "), challenge
    elif status != 403:
        assert challenge is None
    if status == 503:
        assert 1 <= int(answer.value("retry-after")) <= 30
    return problem


def assert_invalid_token(answer: Answer) -> None:
    """Checks the answer to a token of the client's that is not accepted, which does not say why."""
    assert_problem(answer, 401)
    assert answer.value("www-authenticate") == 'Bearer error="invalid_token"'


def assert_anonymous(answer: Answer) -> None:
    """Checks that the backend was reached without any Authorization."""
    assert answer.upstream.values("authorization") == []
