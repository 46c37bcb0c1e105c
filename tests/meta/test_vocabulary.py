"""A new field of callers is two lines of code, one in the vocabulary and one in the catalog, and everything knows it."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.openai_api.vocabulary import PARAMETERS

ROOT = Path(__file__).resolve().parents[2]
VOCABULARY, CATALOG = "app/openai_api/vocabulary.py", "app/catalog/model.py"
ADDED = {
    VOCABULARY: (
        '    Field("frame_count",',
        '    Field("sharpness", Kind.INTEGER, "How sharp.", low=0, high=10, options=("--sharpness",)),\n',
    ),
    CATALOG: (
        "    transparent_background: dict",
        '    sharpness: Annotated[str | None, Usually("edgeSharpness")] = None\n',
    ),
}
LOOK = """
import json
from typer.main import get_command
from app.catalog.loader import load_catalog
from app.catalog.modes import Mode
from app.cli.serve import app
from app.errors import InvalidRequestError
from app.openai_api.form_fields import rebuild_fields
from app.openai_api.model_schema import describe_model
from app.openai_api.parse import parse_request
from app.openai_api.request_schemas import describe_requests
from app.openai_api.vocabulary import KNOWN_NAMES
from app.planning.parameters import decide_parameters
from app.planning.spelling import refuse_misspelled
from app.settings.load import Settings
from scripts.write_docs import matrix_table

registry = load_catalog(Settings().models.catalog_dir)
unlisted, listed = registry.find_model("acme:1@1"), registry.find_model("flux.1-schnell")
request = parse_request(Mode.GENERATE, {"prompt": "a pear", **rebuild_fields([("sharpness", "7")])})

def refusal(action, *arguments):
    try:
        action(*arguments)
    except InvalidRequestError as error:
        return [error.param, str(error)]

def decide(model):
    decided, adjustments = decide_parameters(request, model)
    return [dict(decided.fields), [one.param for one in adjustments]]

def shown(schema):
    return {name: schema[name] for name in ("x-spillway-mode", "x-runware-field") if name in schema}

schemas = describe_requests()
print(json.dumps({
    "parsed": dict(request.parameters),
    "beyond": refusal(parse_request, Mode.GENERATE, {"prompt": "a pear", "sharpness": 11}),
    "misspelled": refusal(refuse_misspelled, {"sharpnes"}, KNOWN_NAMES, set(), "m"),
    "documented": [
        schemas["GenerationRequest"]["properties"]["sharpness"]["anyOf"][0],
        {key: value for key, value in schemas["EditForm"]["properties"]["sharpness"].items() if key in {"type", "minimum", "maximum"}},
    ],
    "schemas": [shown(describe_model(model)["properties"]["sharpness"]) for model in (unlisted, listed)],
    "decided": [decide(model) for model in (unlisted, listed)],
    "in the matrix": [line[:42] for line in matrix_table().splitlines() if line.startswith("| `sharp")],
    "options": [o for n in ("generate", "edit") for p in get_command(app).commands[n].params for o in p.opts if "sharp" in o],
}))
"""


def test_a_field_added_in_two_files_is_known_everywhere(tmp_path):
    for name in ("app", "config", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (before, line) in ADDED.items():
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert text.count(before) == 1
        (tmp_path / name).write_text(text.replace(before, line + before), encoding="utf-8")
    ran = subprocess.run([sys.executable, "-c", LOOK], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "parsed": {"sharpness": 7},
        "beyond": ["sharpness", "Invalid value for `sharpness`: expected a whole number from 0 to 10; got 11."],
        "misspelled": ["sharpnes", "`sharpnes` is no field of m. Did you mean `sharpness`?"],
        "documented": [{"type": "integer", "minimum": 0, "maximum": 10}] * 2,
        "schemas": [
            {"x-spillway-mode": "honored", "x-runware-field": "edgeSharpness"},
            {"x-spillway-mode": "dropped"},
        ],
        "decided": [[{"edgeSharpness": 7}, []], [{}, ["sharpness"]]],
        "in the matrix": ["| `sharpness` | a whole number from 0 to 10"[:42]],
        "options": ["--sharpness", "--sharpness"],
    }


WITH_MORE_MEANINGS = {
    "quality",  # of prices, and of encoders
    "svg",  # a format
    "moderation",  # a code of errors of Runware's
    "scale_factor",  # a size on models without the field: a decision of its own, in `planning/derived_size.py`
}


@pytest.mark.parametrize("name", sorted(PARAMETERS - WITH_MORE_MEANINGS))
def test_the_name_of_a_parameter_stands_in_the_vocabulary_and_one_other_module_at_most(name):
    modules = [path for path in (ROOT / "app").rglob("*.py") if "simulator" not in path.parts]
    naming = {
        path.name
        for path in modules
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Constant) and node.value == name)
        or (isinstance(node, ast.Name | ast.Attribute) and name in {getattr(node, "id", ""), getattr(node, "attr", "")})
    }
    assert len(naming - {"vocabulary.py"}) <= 1
