"""The recipes of ARCHITECTURE.md, followed."""

import re
from pathlib import Path

import yaml
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from app.access.authentication import KeyAuthenticator
from app.api.context import Public, WithKey
from app.api.routes import Route, serve_routes
from app.catalog.loader import load_catalog
from app.catalog.modes import Mode
from app.domain.request import ImageRequest, SizeRequest
from app.domain.words import Delivery
from app.planning.decide import decide
from app.settings.named_keys import NamedKey

ROOT = Path(__file__).resolve().parents[2]
ENTRY = {
    "id": "acme-one",
    "air": "acme:1@1",
    "name": "Acme One",
    "modes": ["generate"],
    "sizes": {"kind": "range", "min_side": 256, "max_side": 2048, "step": 16},
}


def test_a_model_is_one_entry_of_a_file(tmp_path):
    document = {"creator": "Acme", "models": [ENTRY]}
    (tmp_path / "acme.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    model = load_catalog(tmp_path).find_model("acme-one")
    request = ImageRequest(Mode.GENERATE, "a pear", size=SizeRequest(exact=(1024, 512)))
    spec = decide(request, model, default_delivery=Delivery.LINK, image_size=None)
    assert (spec.output.size, spec.adjustments) == ((1024, 512), ())


def test_a_route_is_a_handler_and_who_may_call_it():
    async def greet(_request):
        return PlainTextResponse("hello")

    async def greet_caller(_request, caller):
        return PlainTextResponse(f"hello, {type(caller).__name__}")

    routes = serve_routes(
        [Route("GET", "/greeting", Public(greet)), Route("GET", "/mine", WithKey(greet_caller))],
        KeyAuthenticator([NamedKey(SecretStr("a key of twenty characters"))]),
    )
    client = TestClient(Starlette(routes=routes), raise_server_exceptions=False)
    assert client.get("/greeting").text == "hello"
    assert client.get("/mine").status_code != 200
    assert client.get("/mine", headers={"x-api-key": "a key of twenty characters"}).text == "hello, Caller"


def test_only_two_modules_know_where_bytes_lie():
    knowing = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "app").rglob("*.py"))
        if re.search(r"^\s*(?:import|from) obstore", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert knowing == ["app/media/backend.py", "app/media/object_store.py"]
