"""The keys of the database of the settings, for a command that needs no gateway: the same deeds as over HTTP.

Running gateways learn of them within seconds, as of those of any other process.
"""

import asyncio
import getpass
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Engine

from app.access.key_admin import KeyAdmin
from app.cli.exits import CommandError, code_of
from app.cli.gateway import JSONObject
from app.database.errors import DatabaseUnavailableError
from app.database.reader import Reader
from app.database.writer import Writer
from app.errors import GatewayError
from app.openai_api.key_fields import KeyFields, read_grace, read_key_page
from app.openai_api.key_render import key_members, keys_members

_T = TypeVar("_T")


def _actor() -> str:
    """Who sits at the command line, as far as the system knows."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError, ImportError):
        return "cli"


@dataclass(frozen=True, slots=True)
class LocalKeys:
    """Answers as the routes of a gateway do."""

    engine: Engine

    def create(self, fields: JSONObject) -> JSONObject:
        """Make a key."""
        made = self._run(lambda admin: admin.create(_actor(), KeyFields(fields, time.time())))
        return key_members(made.view, made.text)

    def page(self, query: Mapping[str, str]) -> JSONObject:
        """A page of keys."""
        page = _said(lambda: read_key_page(query))
        views, more = self._run(lambda admin: admin.page(page))
        return keys_members(views, page, more=more)

    def show(self, reference: str) -> JSONObject:
        """One key."""
        return key_members(self._run(lambda admin: admin.show(reference)))

    def update(self, reference: str, fields: JSONObject) -> JSONObject:
        """Change a key."""
        wanted = KeyFields(fields, time.time())
        return key_members(self._run(lambda admin: admin.update(_actor(), reference, wanted)))

    def rotate(self, reference: str, fields: JSONObject) -> JSONObject:
        """Give a key another secret."""
        grace = _said(lambda: read_grace(fields))
        made = self._run(lambda admin: admin.rotate(_actor(), reference, grace))
        return key_members(made.view, made.text)

    def revoke(self, reference: str) -> JSONObject:
        """End a key."""
        return key_members(self._run(lambda admin: admin.revoke(_actor(), reference)))

    def _run(self, deed: Callable[[KeyAdmin], Coroutine[object, object, _T]]) -> _T:
        writer = Writer(self.engine)
        reader = Reader(self.engine, writer)
        try:
            return _said(lambda: asyncio.run(deed(KeyAdmin(writer, reader))))
        finally:
            reader.close()
            writer.close()


def _said(act: Callable[[], _T]) -> _T:
    """What `act` returns; its errors as sentences for the person at the terminal."""
    try:
        return act()
    except GatewayError as error:
        raise CommandError(f"{error.message} [{error.code}]", code=code_of(error.status, error.code)) from None
    except DatabaseUnavailableError:
        raise CommandError("The database does not take it. Nothing was changed; try again shortly.") from None
