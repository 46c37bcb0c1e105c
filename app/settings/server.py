"""The settings of the server: its address, its callers, and what a connection may do."""

import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator

from app.settings.durations import Seconds, WholeSeconds
from app.settings.groups import MIB, HttpUrl, SettingsGroup
from app.settings.named_keys import NamedKey, read_keys

_HOST_PATTERN = re.compile(r"\*|(\*\.)?[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def _to_network(value: object) -> object:
    try:
        return ipaddress.ip_network(value, strict=False) if isinstance(value, str) else value
    except ValueError:
        message = "expected addresses or networks like 10.0.0.5 or 10.0.0.0/24, separated by commas"
        raise ValueError(message) from None


IPNetwork = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, BeforeValidator(_to_network)]
"""An address, or a network of them."""


class ServerSettings(SettingsGroup):
    """The address, who may call, and how callers see it."""

    # Loopback: what nobody has configured must not be there for others to use.
    host: str = Field("127.0.0.1", alias="SPILLWAY_HOST", description="The address to listen on.")
    port: int = Field(8000, alias="SPILLWAY_PORT", ge=1, le=65535, description="The port to listen on.")
    # Secrets, so that no `repr` in a log or a traceback shows one.
    api_keys: tuple[NamedKey, ...] = Field(
        (),
        alias="SPILLWAY_API_KEYS",
        description="Comma-separated keys that callers may use, each as `name=key` or alone; they need no database. "
        "Without any key, here or made with `spillway keys`, none is needed.",
    )
    admin_keys: tuple[NamedKey, ...] = Field(
        (),
        alias="SPILLWAY_ADMIN_KEYS",
        description="Comma-separated keys of administrators, each as `name=key` or alone: they may do everything that "
        "other keys may, make and revoke keys, and see what others asked for.",
    )
    auth: Literal["keys", "passthrough"] = Field(
        "keys",
        alias="SPILLWAY_AUTH",
        description="`keys`: this gateway's Runware key pays, and callers have keys of this gateway. `passthrough`: "
        "each caller sends the key of its own Runware account, which pays for its requests and is never stored.",
    )
    allow_anonymous: bool = Field(
        default=False,
        alias="SPILLWAY_ALLOW_ANONYMOUS",
        description="Serve without keys on an address that others can reach.",
    )
    public_url: HttpUrl | None = Field(
        None,
        alias="SPILLWAY_PUBLIC_URL",
        description="The base of links to hosted images, for example https://images.example.com. "
        "Unset: the name each caller used, where it is a known one.",
    )
    docs: bool = Field(default=True, alias="SPILLWAY_DOCS", description="Serve `/docs`, `/redoc` and `/openapi.json`.")
    web: bool = Field(
        default=True,
        alias="SPILLWAY_WEB",
        description="Show browsers web pages: `/`, `/playground`, `/models`, `/requests`, `/usage` and `/keys`.",
    )
    max_body_bytes: int = Field(
        64 * MIB, alias="SPILLWAY_MAX_BODY_BYTES", ge=1024, description="The largest request body, in bytes."
    )
    keep_alive: WholeSeconds = Field(
        75,
        alias="SPILLWAY_KEEP_ALIVE",
        ge=1,
        description="How long a connection on which nothing happens stays open, in seconds. Longer than the pools of "
        "callers and load balancers keep theirs, so that they, not this gateway, end it.",
    )
    # Bounded per address: one caller must not take the files that all others need (0010).
    max_connections_per_address: int = Field(
        512,
        alias="SPILLWAY_MAX_CONNECTIONS_PER_ADDRESS",
        ge=1,
        description="How many connections one address (of IPv6: one /64) may have open in each process, then 503.",
    )
    trusted_proxies: tuple[IPNetwork, ...] = Field(
        (),
        alias="SPILLWAY_TRUSTED_PROXIES",
        description="Comma-separated addresses or networks of the proxies before this gateway: the limit per address "
        "is not theirs, and their X-Forwarded-For and X-Forwarded-Proto are believed. Those of loopback always are.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        alias="SPILLWAY_ALLOWED_HOSTS",
        description="Comma-separated names by which callers reach this gateway, like `images.example.com`, "
        "`spillway:8000` or `*.example.com`; `*` for any. The address listened on, loopback names and the public URL's "
        "are always known. Links to hosted images have no other host, and without API keys no other is answered.",
    )
    cors_origins: tuple[str, ...] = Field(
        (),
        alias="SPILLWAY_CORS_ORIGINS",
        description="Comma-separated origins of web pages that may call this gateway from a browser, for example "
        "https://app.example.com; `*` for every page, with API keys only. None: no page of another origin may.",
    )
    drain: Seconds = Field(
        0.0,
        alias="SPILLWAY_DRAIN",
        ge=0,
        description="How long requests are still served after SIGTERM while `/readyz` says no, so that a balancer "
        "looks away first, in seconds. Then SPILLWAY_GRACE begins.",
    )
    grace: Seconds = Field(
        25.0, alias="SPILLWAY_GRACE", ge=0, description="How long running work may end at shutdown, in seconds."
    )

    @property
    def has_keys(self) -> bool:
        """Whether nobody calls without a key: the settings name one, or callers bring their own."""
        return bool(self.api_keys or self.admin_keys) or self.passes_keys_on

    @property
    def passes_keys_on(self) -> bool:
        """Whether callers send keys of Runware."""
        return self.auth == "passthrough"

    @field_validator("api_keys", "admin_keys", mode="before")
    @classmethod
    def _read_keys(cls, value: object) -> object:
        return read_keys(value)

    @field_validator("allowed_hosts", "cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # Refused at the start: a name that can never match would show only when callers are turned away.
        if not all(_HOST_PATTERN.fullmatch(name) for name in value):
            message = "expected names like images.example.com, spillway:8000 or *.example.com, separated by commas"
            raise ValueError(message)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(origin if origin == "*" else _to_origin(origin) for origin in value)


def _to_origin(text: str) -> str:
    """An origin as browsers write it (RFC 6454): in lower case, without a default port."""
    try:
        parts = urlsplit(text.lower())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if not (parts.scheme and parts.hostname) or parts.username is not None or parts.path.strip("/") or parts.query:
        message = "expected origins like https://app.example.com, separated by commas"
        raise ValueError(message)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port is None or port == _DEFAULT_PORTS.get(parts.scheme) else f":{port}"
    return f"{parts.scheme}://{host}{shown}"
