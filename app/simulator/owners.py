"""The accounts of the simulated service: one for each key. A key is known by a hash of it only."""

import hashlib


class Owners:
    """Whose uploads are whose, and which keys are refused."""

    def __init__(self) -> None:
        self._revoked: set[str] = set()
        self._uploads: dict[str, str] = {}

    def revoke(self, account: str) -> None:
        """Refuse its key from now on."""
        self._revoked.add(account)

    def is_revoked(self, account: str) -> bool:
        """Whether its key was taken back."""
        return account in self._revoked

    def note_upload(self, image_id: str, account: str) -> None:
        """An image is this account's."""
        self._uploads[image_id] = account

    def owns(self, account: str, image_id: object) -> bool:
        """Whether an image was uploaded with its key."""
        return self._uploads.get(str(image_id)) == account


def account_of(key: str) -> str:
    """The account of a key, by a name from which nobody gets back to the key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:12]
