"""Proves that what the documents show of other programs can be read by them, and fits what the filter is told beside it."""

import copy
import json
import re
import shutil
import subprocess

import _gojsonnet
import pytest
import yaml
from jsonschema import Draft7Validator

from harness.documents import Block, blocks
from harness.paths import ROOT
from harness.presets import preset
from placed import content, keys

KRATOS_SCHEMA = json.loads((ROOT / "tests/docs/schemas/kratos.json").read_text())
TYPESCRIPT = ROOT / "tests/frontends/react/node_modules/typescript"
BEFORE_AND_AFTER = re.compile(r"// before( +)// after\n")


def is_kratos(block: Block) -> bool:
    return block.language == "yaml" and keys(block) == {"session"}


def is_jsonnet(block: Block) -> bool:
    return block.language == "jsonnet"


def is_pod(block: Block) -> bool:
    """Containers of a pod template."""
    return block.language == "yaml" and keys(block) == {"containers"}


def is_typescript(block: Block) -> bool:
    return block.language in ("ts", "tsx", "js", "jsx")


def is_python(block: Block) -> bool:
    return block.language == "python"


KINDS = [is_kratos, is_jsonnet, is_pod, is_typescript, is_python]


def of(kind) -> list[Block]:
    return [block for block in blocks() if kind(block)]


def closed(schema):
    """A schema that takes no member it does not list: Kratos' own overlooks a typo."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    return inner | {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else inner


KRATOS = Draft7Validator(closed(KRATOS_SCHEMA))


@pytest.mark.parametrize("block", of(is_kratos), ids=str)
def test_configuration_of_kratos_is_what_its_schema_takes(block):
    assert list(KRATOS.iter_errors(content(block))) == []
    (path,) = re.findall(r"tokenize_as=(\w+)", preset("Ory Kratos")["exchange"]["path"])
    templates = content(block)["session"]["whoami"]["tokenizer"]["templates"]
    assert set(templates) == {path}, "the filter asks for another template"


@pytest.mark.parametrize("key", ["ttl", "jwks_url", "claims_mapper_url"])
def test_typo_in_the_configuration_of_kratos_is_found(key):
    changed = copy.deepcopy(content(of(is_kratos)[0]))
    (template,) = changed["session"]["whoami"]["tokenizer"]["templates"].values()
    template[f"{key}s"] = template.pop(key)
    assert list(KRATOS.iter_errors(changed))


@pytest.mark.parametrize("block", of(is_jsonnet), ids=str)
def test_mapper_makes_the_claims_that_the_filter_asks_for(block):
    """By the implementation of Jsonnet that Kratos has in it."""
    session = {"id": "9b5b1a0e", "identity": {"id": "x", "traits": {"email": "ada@example.com"}}}
    claims = json.loads(_gojsonnet.evaluate_snippet("mapper", block.text, ext_codes={"session": json.dumps(session)}))["claims"]
    token = preset("Ory Kratos")["token"]
    assert [claims.pop("aud")] == token["audiences"]
    assert claims == {"email": "ada@example.com"}


def test_container_hands_on_the_secret_of_the_manifests():
    for block in of(is_pod):
        variables = [variable for container in content(block)["containers"] for variable in container["env"]]
        values = yaml.safe_load((ROOT / "envoy/istio/gateway-values.yaml").read_text())
        assert variables == values["envVarFrom"], f"{block} is not as in gateway-values.yaml"


def halves(block: Block) -> list[str]:
    """The columns of a block that shows two programs side by side, or all of it."""
    sides = BEFORE_AND_AFTER.match(block.text)
    if sides is None:
        return [block.text]
    at = sides.start(1) + len(sides[1])
    return ["\n".join(line[:at] for line in block.text.splitlines()), "\n".join(line[at:] for line in block.text.splitlines())]


PARSE = """
const ts = require(process.argv[1]);
const text = require("fs").readFileSync(0, "utf8");
const { diagnostics } = ts.transpileModule(text, { reportDiagnostics: true, compilerOptions: { module: "esnext", target: "esnext" } });
for (const { messageText, start } of diagnostics) console.log(text.slice(0, start).split("\\n").length + ": " + messageText);
"""


def complaints(text: str) -> str:
    """What the TypeScript compiler says of its syntax. What it calls is the reader's, so there are no types to check."""
    if shutil.which("node") is None or not TYPESCRIPT.exists():
        pytest.exit("TypeScript is missing: run `make test`, which brings it", returncode=2)
    command = ["node", "-e", PARSE, str(TYPESCRIPT)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def test_typescript_can_be_parsed():
    for block in of(is_typescript):
        for half in halves(block):
            assert complaints(half) == "", f"{block}: {complaints(half)}\n{half}"


def test_mistake_in_typescript_is_found():
    assert complaints("const answer = await fetch('/api/personalize';")


def test_python_can_be_parsed():
    for block in of(is_python):
        compile(block.text, str(block), "exec")
