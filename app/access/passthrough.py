"""Who calls where callers bring their own Runware keys: the key is the caller, and what it may do Runware decides.

Owns what is a key, and the tenant that follows from it. Leaves how long keys are known to `callers_keys`, and keys of
this gateway, which administrators still have, to `authentication`.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping

from app.access.authentication import KeyAuthenticator, keys_in
from app.access.callers_keys import CallersKeys
from app.access.key_format import PREFIX
from app.domain.caller import ANONYMOUS, Caller
from app.errors import AuthenticationError
from app.observability.hidden import SHORTEST_HELD, HiddenValues
from app.runware.keys import CALLERS_PREFIX

_LONGEST_KEY = 128
# A bearer token (RFC 6750): what else a header may hold could not be sent on as it came, nor be found in a line (0137).
_KEY = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_TENANT_DIGITS = 29
"""With the prefix as many characters as a tenant has in the tables: PostgreSQL takes no more."""
_MISSING = "No API key was given: send the key of your Runware account as the header Authorization: Bearer YOUR_KEY."
_MALFORMED = "This is no API key of Runware: send the key of your Runware account as it stands there."


class PassthroughAuthenticator:
    """Takes any Runware key, and the keys that `own` knows. `secret` makes tenants of keys."""

    def __init__(self, own: KeyAuthenticator, keys: CallersKeys, hidden: HiddenValues, secret: bytes) -> None:
        self._own = own
        self._keys = keys
        self._hidden = hidden
        self._secret = secret

    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Whose key is sent, raising AuthenticationError where there is none.

        Whether Runware takes the key shows when something is asked of it.
        """
        given = keys_in(headers)
        # Never sent on: a key of this gateway is not for Runware to see.
        if any(key.startswith(PREFIX) or self._own.find_listed(key) is not None for key in given):
            caller = await self._own.authenticate(headers)
            # Where nobody has a key of this gateway, it takes everybody; here such a key is a mistake.
            if caller is ANONYMOUS:
                raise AuthenticationError(_MALFORMED)
            return caller
        if not given:
            raise AuthenticationError(_MISSING)
        key = given[0]
        if not (SHORTEST_HELD <= len(key) <= _LONGEST_KEY and _KEY.fullmatch(key)):
            raise AuthenticationError(_MALFORMED)
        secret, tenant = self._hidden.hold(key), self._tenant_of(key)
        self._keys.remember(tenant, secret)
        return Caller(tenant, runware_key=secret)

    def _tenant_of(self, key: str) -> str:
        # Keyed, so that nobody can tell from a row or a log whose key it was, not even by trying keys (0136).
        digest = hmac.new(self._secret, key.encode(), hashlib.sha256).hexdigest()
        return f"{CALLERS_PREFIX}{digest[:_TENANT_DIGITS]}"
