"""Where the keys are that a command works on: at a running gateway, or in the database of the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode

from app.cli.gateway import JSONObject, open_session, place_of
from app.cli.journal import journal_or_exit
from app.cli.local import read_variables
from app.cli.settings import settings_or_exit

if TYPE_CHECKING:
    from app.cli.session import Session


class Keys(Protocol):
    """Where the keys are; each answers as the routes of a gateway do."""

    def create(self, fields: JSONObject) -> JSONObject:
        """Make a key."""
        ...

    def page(self, query: Mapping[str, str]) -> JSONObject:
        """A page of keys."""
        ...

    def show(self, reference: str) -> JSONObject:
        """One key."""
        ...

    def update(self, reference: str, fields: JSONObject) -> JSONObject:
        """Change a key."""
        ...

    def rotate(self, reference: str, fields: JSONObject) -> JSONObject:
        """Give a key another secret."""
        ...

    def revoke(self, reference: str) -> JSONObject:
        """End a key."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteKeys:
    """The keys of a running gateway."""

    session: Session

    def create(self, fields: JSONObject) -> JSONObject:
        """Make a key."""
        return self.session.send("POST", "/keys", fields)

    def page(self, query: Mapping[str, str]) -> JSONObject:
        """A page of keys."""
        return self.session.get(f"/keys?{urlencode(query)}")

    def show(self, reference: str) -> JSONObject:
        """One key."""
        return self.session.get(_path(reference))

    def update(self, reference: str, fields: JSONObject) -> JSONObject:
        """Change a key."""
        return self.session.send("PATCH", _path(reference), fields)

    def rotate(self, reference: str, fields: JSONObject) -> JSONObject:
        """Give a key another secret."""
        return self.session.send("POST", f"{_path(reference)}/rotate", fields)

    def revoke(self, reference: str) -> JSONObject:
        """End a key."""
        return self.session.send("DELETE", _path(reference))


@contextmanager
def open_keys(base_url: str | None, api_key: str | None, env_file: Path | None) -> Iterator[Keys]:
    """The keys; faults end the command with one sentence.

    Whose gateway is elsewhere works on that, never on a database of its own folder.
    """
    if base_url or read_variables().get("SPILLWAY_BASE_URL"):
        with open_session(base_url, api_key) as session:
            yield RemoteKeys(session)
        return
    # Loaded only here: most commands need no database.
    from app.cli.local_keys import LocalKeys

    settings, _ = settings_or_exit(env_file, {})
    engine = journal_or_exit(settings)
    try:
        yield LocalKeys(engine)
    finally:
        engine.dispose()


def _path(reference: str) -> str:
    return place_of("keys", reference)
