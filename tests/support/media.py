"""Stores of images for tests."""

import time
from collections.abc import Callable
from pathlib import Path

from app.media.backend import open_store
from app.media.links import LinkSigner
from app.media.store import Lifetimes, MediaStore
from app.observability.metrics import Metrics

SECRET = b"a secret of thirty-two bytes ..."


def folder_store(
    folder: Path,
    prefix: str = "media",
    *,
    link: int = 3600,
    longer: int = 0,
    clock: Callable[[], float] = time.time,
) -> MediaStore:
    """A store in a folder; its images are in the folder of its prefix there."""
    return MediaStore(
        open_store("", folder, Metrics.off()), prefix, LinkSigner([SECRET]), Lifetimes(link, longer), clock
    )
