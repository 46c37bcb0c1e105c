"""The recipes of docs/clients.md: what each client sends, and the form of answer that it can read.

Those that run here are run as the page prints them, by tests/meta/test_docs_blocks.py and below; requests of the
others are replayed as their own sources make them.
"""

import base64
import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from tests.support import loopback
from tests.support.blocks import ADDRESS, Block, blocks_of, prepare_folder, run_block
from tests.support.images import open_base64, open_bytes, png

PAGE = "docs/clients.md"
HERE = Path(__file__).parent
CLIENTS = HERE.parents[1] / ".venv-clients" / "bin"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node on this machine")


@pytest.fixture(scope="module")
def house(start_shared_gateway):
    """Without keys, and with OpenAI's own name led to another model, as the page proposes."""
    aliases = "gpt-image-1=riverflow-1-mini,gpt-image-2=riverflow-1-mini"
    return start_shared_gateway(SPILLWAY_API_KEYS="", SPILLWAY_HOST_ALL_PICTURES="true", SPILLWAY_MODEL_ALIASES=aliases)


def recipe(heading: str, language: str, number: int = 0) -> Block:
    found = [block for block in blocks_of(PAGE) if (block.heading, block.language) == (heading, language)]
    return found[number]


@dataclass(frozen=True)
class Sent:
    """A request as a client makes it."""

    fields: dict[str, object]
    path: str = "/v1/images/generations"
    headers: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()


FORM = "/v1/images/edits"
GO = {"User-Agent": "OpenAI/Go 3.8.1", "X-Stainless-Lang": "go", "X-Stainless-Retry-Count": "0"}
JAVA = {"User-Agent": "OpenAIClientImpl/Java 4.8.0", "X-Stainless-Lang": "java", "X-Stainless-Read-Timeout": "600"}
LIBRECHAT = {"background": "auto", "output_format": "png", "quality": "auto", "size": "auto", "n": 1}
IMAGE_GEN = {"model": "gpt-image-2", "n": 1, "size": "1024x1024", "quality": "medium", "output_format": "png"}
READ_BASE64 = {
    "LibreChat": Sent({"model": "gpt-image-1", "prompt": "a lighthouse", **LIBRECHAT}),
    "LibreChat, an edit": Sent(
        {"model": "gpt-image-1", "prompt": "a hat", "quality": "auto", "size": "auto"}, FORM, files=("image[]",)
    ),
    "n8n": Sent({"prompt": "a lighthouse", "model": "flux.1-schnell", "response_format": "b64_json"}),
    "n8n, a model called gpt-image": Sent({"prompt": "a lighthouse", "model": "gpt-image-1", "size": "1024x1024"}),
    "n8n, an edit": Sent(
        {"prompt": "a hat", "model": "gpt-image-1", "n": "1", "size": "1024x1024", "quality": "auto"},
        FORM,
        files=("image[]", "image[]"),
    ),
    "Codex's skill": Sent({"prompt": "a lighthouse", **IMAGE_GEN}),
    "Codex's skill, an edit": Sent({"prompt": "a hat", **IMAGE_GEN, "n": "1"}, FORM, files=("image[]",)),
    "an agent's edit in JSON": Sent({"prompt": "a hat", "model": "gpt-image-1", "images": [{"image_url": "…"}]}, FORM),
    "Open WebUI": Sent(
        {"model": "flux.1-schnell", "prompt": "a lighthouse", "n": 1, "size": "512x512", "response_format": "b64_json"},
        headers={"User-Agent": "Python/3.11 aiohttp/3.14.5"},
    ),
    "C#, as bytes": Sent(
        {"prompt": "a lighthouse", "model": "flux.1-schnell", "size": "1024x768", "response_format": "b64_json"},
        headers={"User-Agent": "OpenAI/2.9.1 (.NET 9.0.0; Linux)"},
    ),
}
READ_LINKS = {
    "Go": Sent({"prompt": "a lighthouse", "model": "flux.1-schnell", "size": "1024x768"}, headers=GO),
    "Go, an edit": Sent({"prompt": "a hat", "model": "riverflow-1-mini"}, FORM, GO, ("image",)),
    "Java's official library": Sent({"prompt": "a lighthouse", "model": "flux.1-schnell"}, headers=JAVA),
    "C#, an edit": Sent({"prompt": "a hat", "model": "riverflow-1-mini"}, FORM, files=("image",)),
    "n8n, addresses wanted": Sent({"prompt": "a pear", "model": "flux.1-schnell", "response_format": "url"}),
    "LangChain": Sent({"model": "flux.1-schnell", "prompt": "a lighthouse", "n": 1, "size": "1024x1024"}),
}


def answer_to(gateway, sent: Sent) -> dict:
    fields = dict(sent.fields)
    if fields.get("images"):
        fields["images"] = [{"image_url": f"data:image/png;base64,{base64.b64encode(png(320, 320)).decode()}"}]
    headers = {"Authorization": "Bearer unused", **sent.headers}
    if sent.files:
        files = [(name, ("otter.png", png(320, 320), "image/png")) for name in sent.files]
        answer = loopback.post(f"{gateway.origin}{sent.path}", data=fields, files=files, headers=headers, timeout=60)
    else:
        answer = loopback.post(f"{gateway.origin}{sent.path}", json=fields, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("client", READ_BASE64)
def test_a_client_that_reads_base64_gets_it(house, client):
    items = answer_to(house, READ_BASE64[client])["data"]
    assert all(open_base64(item["b64_json"]).format == "PNG" for item in items)
    assert not any("url" in item for item in items)


@pytest.mark.parametrize("client", READ_LINKS)
def test_a_client_that_reads_addresses_gets_one_that_opens(house, client):
    (item,) = answer_to(house, READ_LINKS[client])["data"]
    assert open_bytes(loopback.get(item["url"]).content).format == "PNG"
    assert "b64_json" not in item


def test_a_default_of_a_key_gives_base64_to_a_client_that_cannot_ask_for_it(start_gateway):
    gateway = start_gateway(SPILLWAY_ADMIN_KEYS="boss")
    wanted = {"name": "chat", "defaults": {"response_format": "b64_json"}}
    key = gateway.client.post("/keys", json=wanted, headers={"Authorization": "Bearer boss"}).json()["key"]
    body = {"model": "flux.1-schnell", "prompt": "a lighthouse", "size": "512x512"}
    answer = gateway.client.post("/images/generations", json=body, headers={"Authorization": f"Bearer {key}"})
    assert "b64_json" in answer.json()["data"][0]


@needs_node
@pytest.mark.parametrize(("number", "name"), [(0, "lighthouse.png"), (1, "hat.png")], ids=["openai", "compatible"])
def test_the_ai_sdk_writes_the_image_it_got(house, tmp_path, number, name):
    folder = prepare_folder(tmp_path)
    assert run_block(recipe("Vercel AI SDK", "js", number), folder, house.origin).strip() == "image/png"
    width, height = open_bytes((folder / name).read_bytes()).size
    assert width / height == pytest.approx(4 / 3, rel=0.03)


@needs_node
def test_langchain_answers_with_an_address_that_opens(house, tmp_path):
    url = run_block(recipe("LangChain", "js"), prepare_folder(tmp_path), house.origin).strip()
    assert open_bytes(loopback.get(url).content).size == (1024, 1024)


def test_every_client_of_the_list_has_a_recipe():
    text = (HERE.parents[1] / PAGE).read_text(encoding="utf-8")
    headings = {block.heading for block in blocks_of(PAGE)} | {"n8n"}
    linked = set(re.findall(r"^\| (?:\[.*?\]\(#[\w-]+\)(?:, )?)+", text, re.MULTILINE))
    names = {name for row in linked for name in re.findall(r"\(#([\w-]+)\)", row)}
    assert names == {heading.lower().replace(" ", "-") for heading in headings}


# --- clients with an environment of their own -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client_python() -> str:
    """The Python of the clients that do not fit beside our own packages."""
    python = CLIENTS / "python"
    assert python.exists(), "run: make .venv-clients/.installed"
    return str(python)


OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}


@pytest.mark.slow
@pytest.mark.parametrize("heading", ["LangChain", "LiteLLM"])
def test_a_python_recipe_works_as_it_is_printed(house, tmp_path, client_python, heading):
    out = run_block(recipe(heading, "python"), prepare_folder(tmp_path), house.origin, client_python, **OFFLINE)
    addresses = re.findall(r"^http\S+$", out, re.MULTILINE)
    assert len(addresses) == {"LangChain": 1, "LiteLLM": 2}[heading]
    assert all(open_bytes(loopback.get(url).content).format == "PNG" for url in addresses)


@pytest.mark.slow
def test_litellms_proxy_stands_in_front(house, tmp_path, client_python):
    config = recipe("LiteLLM", "yaml").text.replace(ADDRESS, house.origin)
    (tmp_path / "config.yaml").write_text(config)
    key, port = "sk-" + "proxy" * 8, free_port()
    command = [client_python, "-m", "litellm.proxy.proxy_cli", "--config", "config.yaml", "--host", "127.0.0.1"]
    environment = os.environ | OFFLINE | {"LITELLM_MASTER_KEY": key}
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((tmp_path / "log").open("wb"))
        proxy = stack.enter_context(
            subprocess.Popen([*command, "--port", str(port)], cwd=tmp_path, env=environment, stdout=log, stderr=log)
        )
        stack.callback(proxy.terminate)
        headers = {"Authorization": f"Bearer {key}"}
        client = stack.enter_context(loopback.client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60))
        wait_until_alive(client, proxy)
        made = client.post(
            "/v1/images/generations", json={"model": "lighthouse", "prompt": "a pear", "size": "512x512"}
        )
        files = [("image", ("otter.png", png(320, 320), "image/png"))]
        edited = client.post("/v1/images/edits", data={"model": "lighthouse", "prompt": "a hat"}, files=files)
    for answer in (made, edited):
        assert answer.status_code == 200, answer.text
        assert open_bytes(loopback.get(answer.json()["data"][0]["url"]).content).format == "PNG"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_until_alive(client, proxy: subprocess.Popen) -> None:
    for _ in range(400):
        assert proxy.poll() is None
        try:
            if client.get("/health/liveliness").status_code == 200:
                return
        except httpx2.HTTPError:
            pass  # it does not listen yet
        time.sleep(0.25)
    raise AssertionError("the proxy did not start")


GENERATED = """\
import sys
from spillway_client import AuthenticatedClient
from spillway_client.api.images import create_image, edit_image
from spillway_client.api.keys import create_key
from spillway_client.api.models import list_models
from spillway_client.models import DryRunResponse, EditRequest, GenerationRequest, ImagesResponse, KeyRequest

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
made = create_image.sync(client=client, body=GenerationRequest(prompt="a lighthouse", size="512x512", n=2))
assert isinstance(made, ImagesResponse), made
print(len(made.data), made.size, made.metadata.cost)
estimate = create_image.sync(client=client, body=GenerationRequest(prompt="a lighthouse", size="512x512"), dry_run=True)
assert isinstance(estimate, DryRunResponse), estimate
edited = edit_image.sync(client=client, body=EditRequest(prompt="a hat", model="riverflow-1-mini", image=sys.argv[3]))
assert isinstance(edited, ImagesResponse), edited
assert len(list_models.sync(client=client).data) > 100
assert create_key.sync(client=client, body=KeyRequest(name="generated", budget=3)).key.startswith("sk-spw-")
"""


@pytest.mark.slow
def test_a_client_that_is_generated_from_the_document_makes_images(start_shared_gateway, tmp_path, client_python):
    gateway = start_shared_gateway(SPILLWAY_ADMIN_KEYS="boss")
    (tmp_path / "openapi.json").write_bytes(loopback.get(f"{gateway.origin}/openapi.json").content)
    generate = ["generate", "--path", "openapi.json", "--meta", "none", "--output-path", "spillway_client"]
    environment = os.environ | {"PATH": f"{CLIENTS}{os.pathsep}{os.environ['PATH']}"}
    tool = [str(CLIENTS / "openapi-python-client"), *generate]
    subprocess.run(tool, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=200)
    house = f"data:image/png;base64,{base64.b64encode(png(320, 320)).decode()}"
    (tmp_path / "use.py").write_text(GENERATED)
    command = [client_python, "use.py", gateway.origin, "boss", house]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["2", "512x512"]
