"""All that has to do with keys of the database, as one value: built once, and closed before the database is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from app.access.audit import AuditLog
from app.access.authentication import KeyAuthenticator
from app.access.key_admin import KeyAdmin
from app.access.key_cache import KeyCache
from app.access.key_uses import KeyUses
from app.database.reader import Reader
from app.database.writer import Writer
from app.settings.server import ServerSettings


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of the database, and those of the settings beside them."""

    admin: KeyAdmin
    cache: KeyCache
    uses: KeyUses
    audit: AuditLog
    authenticator: KeyAuthenticator

    @classmethod
    def on(cls, writer: Writer, reader: Reader, server: ServerSettings, clock: Callable[[], float]) -> Self:
        """The keys of a database. `clock` is unix seconds."""
        cache, uses = KeyCache(reader), KeyUses(writer, clock)
        authenticator = KeyAuthenticator(server.api_keys, server.admin_keys, cache=cache, uses=uses, clock=clock)
        return cls(KeyAdmin(writer, reader, clock), cache, uses, AuditLog(writer, reader, clock), authenticator)

    async def close(self) -> None:
        """Write what was noted, and let what is being looked up end."""
        await self.uses.close()
        await self.cache.close()
