"""Key pairs made for a test: what an auth service signs with, and what it publishes."""

from __future__ import annotations

import functools
import itertools

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from . import tokens

jwt.register_algorithm("Ed25519", OKPAlgorithm())  # its name in RFC 9864, which PyJWT does not know

RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
PUBLIC = [*RSA, "ES256", "ES384", "EdDSA", "Ed25519"]
_NUMBERS = itertools.count(1)


class SigningKey:
    """A new key pair for an algorithm. RSA keys take time to make, so a few are made and used again."""

    def __init__(self, algorithm: str = "ES256", *, kid: str | None = None) -> None:
        self.algorithm = algorithm
        self.number = next(_NUMBERS)
        self.kid = kid or f"key-{self.number}"
        self._private = _private(algorithm, self.number % 2)

    def jwk(self, **changes) -> dict:
        """The public half as a key set lists it; a member changed to None is left out."""
        public = self._private.public_key()
        kind = {"RS": RSAAlgorithm, "PS": RSAAlgorithm, "ES": ECAlgorithm, "Ed": OKPAlgorithm}[self.algorithm[:2]]
        members = kind.to_jwk(public, as_dict=True) | {"kid": self.kid, "alg": self.algorithm, "use": "sig"}
        members.pop("key_ops", None)
        return {name: value for name, value in (members | changes).items() if value is not None}

    def mint(self, *, headers: dict | None = None, **claims) -> str:
        """A good token signed with this key, changed only where the arguments say so; a header changed to None is left out."""
        named = {name: value for name, value in {"kid": self.kid, **(headers or {})}.items() if value is not None}
        return tokens.mint(self._private, algorithm=self.algorithm, headers=named, **claims)


def key_set(*keys: SigningKey | dict) -> dict:
    """A JWK set; a dict is put in as it is."""
    return {"keys": [key.jwk() if isinstance(key, SigningKey) else key for key in keys]}


def _private(algorithm: str, which: int):
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "ES384":
        return ec.generate_private_key(ec.SECP384R1())
    if algorithm in ("EdDSA", "Ed25519"):
        return ed25519.Ed25519PrivateKey.generate()
    return _rsa(which)


@functools.cache
def _rsa(_which: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
