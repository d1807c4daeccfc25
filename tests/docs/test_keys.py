"""Proves that the documents know the keys of a configuration that the core knows, each with the default that the core has."""

import json
import re

import pytest
import yaml

from harness.documents import CONFIGURATION, code, document, documents, rows, sections
from harness.paths import ROOT
from placed import SECTIONS

SCHEMA = json.loads((ROOT / "docs/schema/session-bearer.schema.json").read_text())
"""What the core says of itself; tests/command/schema.rs holds the file to it."""

REQUIRED = "required"


def keys(schema: dict | None = None, path: str = "") -> dict[str, object]:
    """Every key by its path, `routes[].match.path`, with its default: REQUIRED where there has to be a value, None where nothing holds."""
    schema = resolved(schema or SCHEMA)
    found = {}
    for choice in schema.get("oneOf", []) + schema.get("anyOf", []):
        found |= keys(choice, path)
    for key, inner in schema.get("properties", {}).items():
        below = f"{path}.{key}" if path else key
        found[below] = REQUIRED if key in schema.get("required", []) else inner.get("default")
        found |= keys(inner, below)
        if "items" in resolved(inner):
            found |= keys(resolved(inner)["items"], f"{below}[]")
    return found


def resolved(schema: dict) -> dict:
    if "$ref" in schema:
        return SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema


KEYS = keys()
CREDENTIALS = {key for key in KEYS if re.fullmatch(r"credentials\[\]\.\w+", key)}
SCALARS = sorted(key for key in KEYS if not any(other.startswith((f"{key}.", f"{key}[]")) for other in KEYS) and key not in CREDENTIALS)
PAGE = {heading.split(" ")[0]: text for heading, text in sections(CONFIGURATION).items() if heading.split(" ")[0] in SECTIONS}


def table() -> dict[str, list[str]]:
    """The rows of the page that are about one key, by its path."""
    found = {}
    for section, text in PAGE.items():
        for first, *others in rows(text):
            for key in code(first):
                name = re.match(r"[\w.]+", key)[0]
                within = [f"{section}.{name}", f"{section}[].{name}", f"{section}.keys.{name}"]
                found[next((path for path in within if path in KEYS), f"{section}.{name}")] = others
    return found


TABLE = table()
PARTS = {"exchange.token.json_pointer": "exchange.token", "exchange.token.header": "exchange.token"}
"""Keys that are explained with the one they are in."""


def explained(key: str) -> str | None:
    """What the page says of a key: its own row, or that of the key it is in, where it stands in code."""
    if key in TABLE:
        return " ".join(TABLE[key])
    whole, _, name = key.rpartition(".")
    text = " ".join(TABLE.get(PARTS.get(key, whole), []))
    own_row = [first for first, *_ in rows(PAGE.get(key.split(".")[0].rstrip("[]"), "")) if re.search(rf"[{{ ]{name}[,}}]", first)]
    return text + " ".join(own_row) if re.search(rf"\b{name}\b", text + " ".join(own_row)) else None


@pytest.mark.parametrize("key", SCALARS)
def test_key_is_explained(key):
    if key == "report_only":
        assert PAGE[key].strip().startswith("`false`")
    else:
        assert explained(key), f"{CONFIGURATION} does not explain {key}"


@pytest.mark.parametrize("key", TABLE)
def test_key_that_is_explained_exists(key):
    assert key in KEYS, f"{CONFIGURATION} explains {key}, which the core does not know"


WITH_DEFAULT = {key: cells for key, cells in TABLE.items() if len(cells) == 2}
IN_WORDS = {
    "cache.refresh_ahead": "a third of `max_ttl`, at most `10s`",
    "exchange.token": "`{json_pointer: /token}`",
    "token.algorithms": "`[HS256]` with a secret; with public keys all of theirs",
    "token.audiences": "any, with a warning",
    "token.issuer": "any, with a warning",
    "exchange.headers": "`{}`",
}
"""Defaults that follow from other keys, or that are no value of their own."""


@pytest.mark.parametrize("key", WITH_DEFAULT)
def test_default_is_the_cores(key):
    cell = WITH_DEFAULT[key][0]
    if key in IN_WORDS:
        assert cell == IN_WORDS[key] and KEYS[key] in (None, [])
    elif cell in (REQUIRED, "none"):
        assert KEYS[key] == REQUIRED
    else:
        (written,) = code(cell)
        assert canonical(yaml.safe_load(written)) == canonical(KEYS[key]), f"{CONFIGURATION} says {key}: {written}"


IN_THE_TEXT = [
    key
    for key, default in KEYS.items()
    if default not in (REQUIRED, None, [], {}, False) and key not in WITH_DEFAULT and key != "credentials"
]


@pytest.mark.parametrize("key", IN_THE_TEXT)
def test_default_in_a_sentence_is_the_cores(key):
    """Of a list each item, which may be shortened: `__Host-…`."""
    text = explained(key) or ""
    assert key in TABLE or text
    default = KEYS[key] if isinstance(KEYS[key], list) else [KEYS[key]]
    spans = code(text) + [span for cells in TABLE.values() for cell in cells for span in code(cell)]
    for item in default:
        shortened = [span for span in spans if span.endswith("…") and str(item).startswith(span[:-1])]
        assert shortened or canonical(item) in map(canonical, spans), f"{key}: {item}"


def canonical(value):
    """Durations by what they last: the core writes a minute as 1m, the page as 60s."""
    if isinstance(value, str) and (duration := re.fullmatch(r"(\d+)(ms|s|m|h)", value)):
        return int(duration[1]) * {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}[duration[2]]
    return value


def test_sections_are_those_of_the_schema():
    assert set(SCHEMA["properties"]) == SECTIONS == set(PAGE)


def test_overview_of_the_readme_has_every_section():
    listed = [code(first)[0] for first, *_ in rows((ROOT / "README.md").read_text()) if code(first) and code(first)[0] in SECTIONS]
    assert sorted(listed) == sorted(SECTIONS)


ROOTS = "|".join(sorted(SECTIONS - {"report_only"}) + ["session_cookie", "token_cookie", "jwks", "match", "sign_in", "require"])
SPANS = [
    span for name in documents() for span in document(name).spans if re.fullmatch(rf"(?:{ROOTS})(?:\[\d*\])?(?:\.[a-z_]+)+", span.text)
]
NOT_OURS = {"jwks.rotationInterval", "jwks.keyPairConfig", "routes.yaml"}
"""Of better-auth, and a file."""


@pytest.mark.parametrize("span", SPANS, ids=lambda span: f"{span}-{span.text}")
def test_key_that_a_sentence_names_exists(span):
    name = re.sub(r"\[\d*\]", "[]", span.text)
    assert name in NOT_OURS or any(key == name or key.endswith(f".{name}") for key in KEYS), f"{span}: there is no key {span.text}"
