"""Which gateway a command speaks to, and opening a conversation with it.

Loads no HTTP client before one is opened: asking for help needs none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from app.cli.exits import CommandError, ExitCode
from app.cli.local import local_address, origin_of, read_variables

if TYPE_CHECKING:
    from app.cli.session import Session

JSONObject: TypeAlias = dict[str, Any]  # an answer, looked into field by field


@dataclass(frozen=True, slots=True)
class Address:
    """A gateway and the key for it."""

    base_url: str
    api_key: str

    @property
    def pages(self) -> str:
        """Where its pages for people are."""
        return self.base_url.removesuffix("/v1")


def find_gateway(base_url: str | None, api_key: str | None, variables: Mapping[str, str]) -> Address:
    """The gateway that is named, else the one of this machine as its settings say, with the first of its keys."""
    from app.settings.named_keys import split_key

    named = base_url or variables.get("SPILLWAY_BASE_URL")
    key = api_key or variables.get("SPILLWAY_API_KEY")
    if named:
        return Address(named.rstrip("/"), key or "")
    keys = [one for one in variables.get("SPILLWAY_API_KEYS", "").split(",") if one.strip()]
    return Address(f"{origin_of(*local_address(variables))}/v1", key or (split_key(keys[0])[1] if keys else ""))


@contextmanager
def open_session(base_url: str | None, api_key: str | None) -> Iterator[Session]:
    """A conversation with the gateway that is named, else with the one of this machine."""
    from app.cli.session import Session

    session = Session(find_gateway(base_url, api_key, read_variables()))
    try:
        yield session
    finally:
        session.close()


def place_of(kind: str, name: str) -> str:
    """The path of one thing by its id or name."""
    # Empty or made of dots, it would be the path of something else.
    if not name.strip(" ."):
        raise CommandError(f"{name!r} is no id of one of the {kind}.", code=ExitCode.WRONG_USE)
    return f"/{kind}/{quote(name, safe=':@')}"


def how_to_collect(request_id: str) -> str:
    """The command that gets the images of a request."""
    return f"The gateway keeps it. Get it with: spillway collect {request_id} -o FILE"
