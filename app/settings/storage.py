"""Settings of the store for images: where it is, and whose links callers are given."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from app.settings.groups import SettingsGroup

OBJECT_STORES = frozenset({"s3", "gs", "az"})
_LONGEST_PRESIGNED = 7 * 86_400
"""Longer no object store signs for."""


class StorageSettings(SettingsGroup):
    """Where hosted images and kept results are."""

    storage_url: str = Field(
        "",
        alias="SPILLWAY_STORAGE_URL",
        description="Where hosted images and kept results are: `file:///path`, `s3://bucket/prefix`, "
        "`gs://bucket/prefix` or `az://container/prefix`, which gateways on several machines may share. Keys and "
        "endpoints come from the variables of each service, such as `AWS_ENDPOINT_URL`. Unset: the data folder.",
    )
    media_links: Literal["own", "presigned"] = Field(
        "own",
        alias="SPILLWAY_MEDIA_LINKS",
        description="Whose links callers are given to hosted images: `own` lead to this gateway, `presigned` to the "
        "object store itself.",
    )

    @property
    def is_folder(self) -> bool:
        """Whether images are in a folder, not in an object store."""
        return urlsplit(self.storage_url).scheme not in OBJECT_STORES

    def link_problems(self, link_seconds: int) -> list[str]:
        """What keeps the store from giving links that live so long, one line each."""
        if self.media_links == "own":
            return []
        if self.is_folder:
            advice = "set it to own, or SPILLWAY_STORAGE_URL to an object store"
            return [f"SPILLWAY_MEDIA_LINKS is presigned, and a folder signs no links: {advice}."]
        if link_seconds > _LONGEST_PRESIGNED:
            advice = "set SPILLWAY_MEDIA_TTL to that, or SPILLWAY_MEDIA_LINKS to own"
            return [f"SPILLWAY_MEDIA_LINKS is presigned, and stores sign for at most {_LONGEST_PRESIGNED} s: {advice}."]
        return []

    @field_validator("storage_url")
    @classmethod
    def _check_storage(cls, value: str) -> str:
        value = value.strip()
        if value and not _is_storage(value):
            message = "expected file:///path, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
            raise ValueError(message)
        return value


def _is_storage(value: str) -> bool:
    """Whether an address names a folder or an object store, and nothing besides."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    # Keys belong into variables of their own: an address is shown in logs and lists.
    if parts.query or parts.fragment or "@" in parts.netloc or port is not None:
        return False
    if parts.scheme == "file":
        return not parts.netloc and len(parts.path) > 1
    steps = parts.path.strip("/").split("/")
    is_plain = all(step not in {"", ".", ".."} for step in steps) or steps == [""]
    return parts.scheme in OBJECT_STORES and bool(parts.netloc) and is_plain
