"""The schemas in crds/ as an API server and Compose apply them: a field that they do not know is an error."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from jsonschema import Draft202012Validator

CRDS = Path(__file__).resolve().parent / "crds"
# What an API server checks of every resource; the definitions leave it out.
METADATA = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"},
        "namespace": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


def complaints(resource: dict) -> list[str]:
    """What is wrong with a resource of Kubernetes, each with the path to it."""
    kind = resource.get("kind")
    if not (CRDS / f"{kind}.json").exists():
        return [f"kind: there is no schema of {kind!r} in tests/packages/crds"]
    entry = _read(kind)
    if resource.get("apiVersion") != entry["apiVersion"]:
        return [f"apiVersion: {resource.get('apiVersion')!r} is not {entry['apiVersion']!r}"]
    return _errors(_validator(kind), resource)


def compose_complaints(document: dict) -> list[str]:
    """What is wrong with a compose file."""
    return _errors(Draft202012Validator(_read("compose")["schema"]), document)


def _errors(validator, document: dict) -> list[str]:
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(document)]


@functools.cache
def _read(name: str) -> dict:
    return json.loads((CRDS / f"{name}.json").read_text())


@functools.cache
def _validator(kind: str) -> Draft202012Validator:
    schema = _strict(_read(kind)["schema"])
    schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": METADATA}
    schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
    schema["additionalProperties"] = False
    return Draft202012Validator(schema)


def _strict(schema: dict) -> dict:
    """A structural schema in the terms of JSON Schema. What it has no terms for, rules in CEL, is not checked."""
    strict = dict(schema)
    for key in ("properties", "patternProperties"):
        if key in schema:
            strict[key] = {name: _strict(part) for name, part in schema[key].items()}
    for key in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(key), dict):
            strict[key] = _strict(schema[key])
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    # Inside oneOf and the like properties are repeated in part, and their siblings are no strangers.
    if schema.get("type") == "object" and "properties" in schema and not open_ended:
        strict["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        strict.pop("type", None)
        strict["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if schema.get("nullable") and "type" in schema:
        strict["type"] = [schema["type"], "null"]
    return strict
