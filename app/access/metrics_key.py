"""The key that opens metrics and nothing else: a setting, so that it is known while the database is away."""

from collections.abc import Mapping
from hmac import compare_digest

from pydantic import SecretStr

from app.access.authentication import keys_in
from app.access.key_format import digest_of


class MetricsKey:
    """The key of the settings, if there is one."""

    def __init__(self, key: SecretStr | None) -> None:
        self._digest = None if key is None else digest_of(key.get_secret_value())

    @property
    def is_set(self) -> bool:
        """Whether metrics have a key of their own."""
        return self._digest is not None

    def opens(self, headers: Mapping[str, str]) -> bool:
        """Whether it came with a request."""
        own = self._digest
        # Digests in constant time, like any other key.
        return own is not None and any(compare_digest(digest_of(key), own) for key in keys_in(headers))
