"""Which gateway a command speaks to, and opening a conversation with it.

Loads no HTTP client before one is opened: asking for help needs none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from app.cli.exits import CommandError, ExitCode
from app.cli.local import LOOPBACK, local_address, origin_of, reachable, read_given
from app.settings.sources import CONFIG, ENVIRONMENT, Given, config_of

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

    given = read_given()
    _check_config(given)
    refuse_stray_key(base_url, api_key, given)
    variables = {name: one.value.strip() for name, one in given.items()}
    session = Session(find_gateway(base_url, api_key, variables))
    try:
        yield session
    finally:
        session.close()


def _check_config(given: Mapping[str, Given]) -> None:
    """Refuse a file of SPILLWAY_CONFIG that a gateway would not start with: half of it would not mean what it says."""
    if CONFIG not in given:
        return
    from app.settings.load import InvalidSettingsError, check_config

    try:
        check_config(given)
    except InvalidSettingsError as error:
        raise CommandError(*error.problems, code=ExitCode.WRONG_USE) from None


def refuse_stray_key(base_url: str | None, api_key: str | None, given: Mapping[str, Given]) -> None:
    """Raise CommandError where a key of the environment would go to an address that only a file of the folder names.

    Whoever works in a folder that somebody else made would hand them the key with the first command.
    """
    key = given.get("SPILLWAY_API_KEY")
    if base_url or api_key or key is None or key.origin != ENVIRONMENT:
        return
    name = "SPILLWAY_BASE_URL" if "SPILLWAY_BASE_URL" in given else "SPILLWAY_HOST"
    address = given.get(name)
    if address is None or _is_own_choice(address, given):
        return
    if name == "SPILLWAY_HOST" and reachable(address.value.strip()) in LOOPBACK:
        return
    said = f"{name} stands in {address.origin} and SPILLWAY_API_KEY in the environment, so the key is not sent there: "
    raise CommandError(f"{said}name the gateway with --base-url, or set both in one place.", code=ExitCode.WRONG_USE)


def _is_own_choice(address: Given, given: Mapping[str, Given]) -> bool:
    """Whether it stands in the environment, or in a file that the environment names wherever a command is run."""
    if address.origin == ENVIRONMENT:
        return True
    config = given.get(CONFIG)
    is_named = config is not None and config.origin == ENVIRONMENT and address.origin == config_of(given)
    return is_named and os.path.isabs(address.origin)  # noqa: PTH117 - a path is made of it nowhere else


def place_of(kind: str, name: str) -> str:
    """The path of one thing by its id or name."""
    # Empty or made of dots, it would be the path of something else.
    if not name.strip(" ."):
        raise CommandError(f"{name!r} is no id of one of the {kind}.", code=ExitCode.WRONG_USE)
    return f"/{kind}/{quote(name, safe=':@')}"


def how_to_collect(request_id: str) -> str:
    """The command that gets the images of a request."""
    return f"The gateway keeps it. Get it with: spillway collect {request_id} -o FILE"
