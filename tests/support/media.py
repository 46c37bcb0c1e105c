"""Stores of images for tests."""

import time
from collections.abc import Callable
from pathlib import Path

from app.database.errors import DatabaseUnavailableError
from app.domain.lifetimes import Lifetimes
from app.jobs.duty import Duty
from app.jobs.image_book import ImageBook
from app.jobs.shelf import ImageShelf, Keep, Stores
from app.journal.duties import IMAGES
from app.journal.journal import Journal
from app.journal.stored_images import StoredImages
from app.media.backend import open_store
from app.media.health import StoreHealth
from app.media.links import LinkSigner
from app.media.object_store import ObjectStore
from app.media.store import MediaStore
from app.media.sweeper import ImageSweeper, Places
from app.observability.metrics import Metrics

SECRET = b"a secret of thirty-two bytes ..."
LIVES = Lifetimes(3600, 86_400)


def folder_store(folder: Path, prefix: str = "media", *, clock: Callable[[], float] = time.time) -> MediaStore:
    """A store in a folder; its images are in the folder of its prefix there."""
    return MediaStore(open_folder(folder), prefix, LinkSigner([SECRET]), clock)


def open_folder(folder: Path) -> ObjectStore:
    """A folder as a store."""
    return open_store("", folder, Metrics.off())


def open_shelf(
    store: ObjectStore,
    journal: Journal,
    *,
    most: int | None = None,
    lives: Lifetimes = LIVES,
    keep: Keep = Keep.UNDELIVERED,
    clock: Callable[[], float] = time.time,
) -> tuple[ImageShelf, ImageSweeper]:
    """A shelf with its sweeper, on one clock."""
    stores = Stores(*[MediaStore(store, prefix, LinkSigner([SECRET]), clock) for prefix in ("media", "results")])
    book = ImageBook(journal, most, StoredImages(clock))
    places = Places({"media": lives.link, "results": lives.result, "probes": 0.0}, outliving=lives.longest)
    passing = (DatabaseUnavailableError,)
    sweeper = ImageSweeper(store, book, Duty(IMAGES, journal), places, passing, clock, time.monotonic)
    return ImageShelf(stores, book, StoreHealth(store), sweeper, lives, keep), sweeper
