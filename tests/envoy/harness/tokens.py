"""Tokens as the auth service mints them, and every kind of token that must not be believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import jwt

SECRET = "the-shared-secret-of-these-tests-0123456789"
WRONG_SECRET = "another-secret-that-nobody-configured-98765"
ISSUER = "auth-service"
AUDIENCE = "api-service"
LEEWAY_SECONDS = 30


def mint(secret: str = SECRET, *, without: tuple[str, ...] = (), algorithm: str = "HS256", headers: dict | None = None, **claims) -> str:
    """A good token, changed only where the arguments say so."""
    now = int(time.time())
    payload = {"sub": "user-1", "email": "user@example.com", "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 900}
    payload.update(claims)
    for name in without:
        payload.pop(name)
    return jwt.encode(payload, secret, algorithm=algorithm, headers=headers)


def tampered(token: str) -> str:
    """The same token with another subject and the old signature."""
    header, _payload, signature = token.split(".")
    _, other, _ = mint(sub="somebody-else").split(".")
    return f"{header}.{other}.{signature}"


def that_do_not_verify() -> dict[str, str]:
    """One token per reason for which a token from the auth service is not believed."""
    now = int(time.time())
    good = mint()
    return {
        "wrong_secret": mint(WRONG_SECRET),
        "wrong_issuer": mint(iss="somebody-else"),
        "issuer_with_suffix": mint(iss=ISSUER + "-2"),
        "no_issuer": mint(without=("iss",)),
        "wrong_audience": mint(aud="another-api"),
        "empty_audience": mint(aud=[]),
        "no_audience": mint(without=("aud",)),
        "expired_beyond_leeway": mint(iat=now - 900, exp=now - LEEWAY_SECONDS - 5),
        "exp_as_string": mint_raw_claims(exp=str(now + 900)),
        "no_exp": mint(without=("exp",)),
        "not_valid_yet": mint(nbf=now + 3600),
        "no_subject": mint(without=("sub",)),
        "unsigned": mint(None, algorithm="none"),
        "algorithm_not_listed": mint(SECRET * 2, algorithm="HS512"),
        "foreign_type": mint(headers={"typ": "dpop+jwt"}),
        "payload_swapped": tampered(good),
        "signature_cut": good[:-6],
        "no_signature": good.rsplit(".", 1)[0] + ".",
        "two_parts": good.rsplit(".", 1)[0],
        "not_a_token": "not-a-token",
        "line_break": good + "\r\nx-admin: 1",
        "trailing_space": good + " ",
    }


def mint_raw_claims(**claims) -> str:
    """A correctly signed token whose claims are of types a library would refuse to write."""
    now = int(time.time())
    payload = {"sub": "user-1", "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 900, **claims}
    return sign_by_hand({"alg": "HS256", "typ": "JWT"}, payload, SECRET)


def sign_by_hand(header: dict, payload: dict, secret: str) -> str:
    """An HMAC-SHA-256 over whatever header and payload, where a library would object."""
    signed = f"{encoded(header)}.{encoded(payload)}"
    return f"{signed}.{_base64url(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())}"


def with_header(token: str, **changes) -> str:
    """The same token under another header; its signature was made without the change."""
    header, payload, signature = token.split(".")
    members = json.loads(base64.urlsafe_b64decode(header + "=="))
    return f"{encoded(members | changes)}.{payload}.{signature}"


def encoded(part: dict) -> str:
    """A header or a payload as it stands in a token."""
    return _base64url(json.dumps(part).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
