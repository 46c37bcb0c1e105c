"""Whose requests a caller asks about: its own, for an administrator those of all keys or of one that it names."""

from collections.abc import Mapping

from app.database.reader import Reader
from app.domain.caller import Caller
from app.errors import ForbiddenError, NotFoundError
from app.ledger.usage import Usage


class Tenants:
    """Finds them. `names` has what the operator calls the keys of the settings, by tenant."""

    def __init__(self, reader: Reader, names: Mapping[str, str]) -> None:
        self._usage = Usage(reader)
        self.names = names

    async def tenant_of(self, wanted: str | None, caller: Caller) -> str | None:
        """The tenant of the key `wanted` by id or name, None for all.

        Raises ForbiddenError for a key of others, and NotFoundError where an administrator names none.
        """
        if wanted is None:
            return None if caller.is_admin else caller.tenant
        if not caller.is_admin:
            if wanted in {caller.tenant, caller.name}:
                return caller.tenant
            # The same whether or not there is such a key.
            message = "Only an admin key may see what other keys asked for."
            raise ForbiddenError(message, param="key", code="admin_required")
        found = await self._usage.find_tenant(wanted, self.names)
        if found is None:
            raise no_key()
        return found


def no_key() -> NotFoundError:
    """The error of a key that there is not."""
    return NotFoundError("There is no key with this id or name.", param="key", code="key_not_found")
