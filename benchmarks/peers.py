"""Other gateways, where they are installed: set up to pass images on to the stub in OpenAI's form, without logs.

None of them is among our dependencies. What is not there is left out with a line that says how to install it.
"""

import json
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.programs import Running, free_port, running
from benchmarks.rounds import Program

_CLIENTS = Path(".venv-clients/bin/litellm")
_PORTKEY = Path("node_modules/@portkey-ai/gateway/build/start-server.js")
_MODELS = ("flux.1-schnell", "google:4@1")
_LARGE_BUFFERS = (
    "proxy_max_temp_file_size 0; proxy_buffers 16 64k; proxy_buffer_size 16k; proxy_busy_buffers_size 128k;"
)


@dataclass(frozen=True)
class LiteLLM:
    """LiteLLM's proxy, with one key and without a database."""

    program: str

    @contextmanager
    def __call__(self, upstream_port: int, folder: Path) -> Iterator[Running]:
        """Start it."""
        port, config = free_port(), folder / "litellm.json"
        behind = {"api_base": f"http://127.0.0.1:{upstream_port}/openai/v1", "api_key": "benchmark"}
        models = [{"model_name": name, "litellm_params": {"model": "openai/gpt-image-1", **behind}} for name in _MODELS]
        # It refuses fields that this model does not have, as `response_format`, unless it may drop them.
        settings = {"telemetry": False, "drop_params": True}
        config.write_text(json.dumps({"model_list": models, "litellm_settings": settings}))  # JSON is YAML
        command = [self.program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
        # It starts with a key only.
        key = f"sk-{secrets.token_hex(16)}"
        # Its table of prices would be fetched from the internet.
        local = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MASTER_KEY": key}
        with running(command, port, folder, local, {"authorization": f"Bearer {key}"}) as program:
            yield program


@dataclass(frozen=True)
class Portkey:
    """Portkey's gateway on Node."""

    node: str
    program: Path

    @contextmanager
    def __call__(self, upstream_port: int, folder: Path) -> Iterator[Running]:
        """Start it."""
        port = free_port()
        command = [self.node, str(self.program), "--headless", f"--port={port}"]
        headers = {
            "authorization": "Bearer benchmark",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{upstream_port}/openai/v1",
        }
        with running(command, port, folder, {"NODE_ENV": "production"}, headers) as program:
            yield program


@dataclass(frozen=True)
class Nginx:
    """nginx as a plain proxy with one worker: what no program in a scripting language can reach.

    With buffers large enough for an answer, or with the few kilobytes that it has by itself: then what is more goes
    through a file.
    """

    program: str
    buffers: str = (
        "proxy_max_temp_file_size 0; proxy_buffers 16 64k; proxy_buffer_size 16k; proxy_busy_buffers_size 128k;"
    )

    @contextmanager
    def __call__(self, upstream_port: int, folder: Path) -> Iterator[Running]:
        """Start it."""
        port, config = free_port(), folder / "nginx.conf"
        config.write_text(_NGINX.format(folder=folder, port=port, upstream=upstream_port, buffers=self.buffers))
        command = [self.program, "-p", str(folder), "-c", str(config), "-e", str(folder / "errors")]
        with running(command, port, folder, {}, {}) as program:
            yield program


_NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_max_body_size 64m; client_body_buffer_size 64k; keepalive_requests 1000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {buffers}
  upstream stub {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{ proxy_pass http://stub; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


def find_peers() -> list[Program]:
    """Those that are installed; of the others it is said on stderr how to get them."""
    litellm = str(_CLIENTS.absolute()) if _CLIENTS.exists() else shutil.which("litellm")
    node, nginx = shutil.which("node"), shutil.which("nginx")
    peers = []
    if litellm:
        peers.append(Program("litellm", LiteLLM(litellm), is_peer=True))
    else:
        _miss("LiteLLM", "make .venv-clients/.installed, or pip install 'litellm[proxy]' somewhere on PATH")
    if node and _PORTKEY.exists():
        peers.append(Program("portkey", Portkey(node, _PORTKEY.absolute()), is_peer=True))
    else:
        _miss("Portkey", "npm install --no-save @portkey-ai/gateway (with Node)")
    if nginx:
        peers.append(Program("nginx", Nginx(nginx), is_peer=True))
        peers.append(Program("nginx-stock", Nginx(nginx, buffers=""), is_peer=True))
    else:
        _miss("nginx", "install it with the system's packages")
    return peers


def _miss(name: str, how: str) -> None:
    print(f"{name} is not installed and left out: {how}", file=sys.stderr)
