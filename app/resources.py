"""What a gateway is built with, and what it opens at the start: network, database, folders, processes.

Owns opening and closing them, and the secrets that follow from the settings. Leaves to `main` what is built on them.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine

from app import __version__
from app.catalog.registry import Registry
from app.database.errors import DatabaseUnavailableError
from app.database.schema import open_database
from app.domain.lifetimes import Lifetimes
from app.egress.download import DownloadPolicy
from app.egress.names import Lookup, look_up
from app.egress.ways_out import WaysOut, open_ways
from app.generation.service import ImageService
from app.images.hashing import ImageHash
from app.images.workers.pool import Workers
from app.jobs.duty import Duty
from app.jobs.image_book import ImageBook
from app.jobs.leases import LEASE_SECONDS
from app.jobs.memory import MOST_BYTES
from app.jobs.shelf import ImageShelf, Keep, Stores
from app.journal.duties import IMAGES
from app.journal.journal import Journal
from app.journal.processes import Predecessors
from app.journal.stored_images import StoredImages
from app.media.backend import open_store
from app.media.dating import DatingClock
from app.media.health import PROBES, StoreHealth
from app.media.links import LinkSigner
from app.media.store import MediaStore
from app.media.sweeper import EVERY_SECONDS, ImageSweeper, Places
from app.observability.exposition import Exposition
from app.observability.metrics import Metrics
from app.observability.numbers import Numbers, Readable, SharedNumbers
from app.observability.tracing import Tracer, open_tracer
from app.runware.account import RunwareAccount
from app.runware.client import RunwareClient
from app.runware.http_transport import HTTPTransport
from app.runware.keys import Keys
from app.runware.media_storage import MediaStorage
from app.runware.retry import RetryPolicy
from app.runware.transport import Transport
from app.server.process import private_folder
from app.settings.groups import JournalSettings, UpstreamSettings
from app.settings.load import Settings
from app.settings.metrics import MetricsSettings
from app.settings.secrets import Secrets
from app.settings.traces import TraceSettings
from app.webhooks.dispatcher import DeliverySchedule

SIMULATOR_KEY = "simulator"


def connect_runware(upstream: UpstreamSettings, ways: WaysOut) -> Transport:
    """The transport of production."""
    return HTTPTransport(upstream.runware_base_url, ways.runware.resolve)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that a gateway is built with beside its settings. The defaults are production's; tests replace some."""

    connect: Callable[[UpstreamSettings, WaysOut], Transport] = connect_runware
    service: Callable[..., ImageService] = ImageService
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    webhooks: DeliverySchedule = field(default_factory=DeliverySchedule)
    downloads: DownloadPolicy = field(default_factory=DownloadPolicy)
    lookup: Lookup = look_up
    """Finds the addresses of names."""
    tracer: Callable[[TraceSettings], Tracer] = open_tracer
    """Opens what traces requests."""
    lease_seconds: float = LEASE_SECONDS
    """How long a process that stands still keeps what it runs."""
    sweeps_every: float = EVERY_SECONDS
    """How often expired images are looked for, in seconds."""
    remembers: int = MOST_BYTES
    """How many bytes a process remembers of requests with keys, for when the journal is away."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What is opened at the start: the network, the database, folders and processes."""

    ways: WaysOut
    runware: RunwareClient
    account: RunwareAccount
    storage: MediaStorage
    workers: Workers
    journal: Journal
    image_hash: ImageHash
    """The hash that the journal uses for images."""
    shelf: ImageShelf
    sweeper: ImageSweeper
    sweeping: Duty

    @property
    def media(self) -> MediaStore:
        """The images behind links."""
        return self.shelf.stores.media

    async def close(self) -> None:
        """Give all of it back; the journal first, since its last outcomes are still to be written."""
        await self.sweeping.leave()
        await asyncio.to_thread(self.journal.close)
        for opened in (self.account, self.ways, self.storage, self.runware, self.workers):
            await opened.close()


async def open_resources(settings: Settings, parts: Parts, keys: Keys, secrets: Secrets, metrics: Metrics) -> Resources:
    """Open all of it. What cannot be opened is an error."""
    ways = open_ways(settings.upstream, settings.images, settings.webhooks, parts.lookup)
    transport = parts.connect(settings.upstream, ways)
    # First, and while everything else is opened: they take longest to be there.
    workers = Workers(settings.images.image_workers, metrics)
    workers.start()
    try:
        private_folder(settings.journal.data_dir)
        engine, image_hash = await asyncio.to_thread(open_database, settings.journal.journal_url)
        journal = _make_journal(engine, settings.journal, Predecessors(parts.lease_seconds), metrics)
        return Resources(
            ways,
            RunwareClient(transport, keys, sync_wait=settings.upstream.sync_wait, retry=parts.retries, metrics=metrics),
            RunwareAccount(transport, keys.key_of(""), settings.upstream.low_balance),
            MediaStorage(transport),
            workers,
            journal,
            image_hash,
            *(await _open_shelf(settings, secrets, journal, metrics, parts.sweeps_every)),
        )
    except BaseException:
        await workers.close()
        raise


def _make_journal(engine: Engine, settings: JournalSettings, predecessors: Predecessors, metrics: Metrics) -> Journal:
    """The journal on an open database."""
    return Journal.on(
        engine,
        key_ttl=settings.idempotency_ttl,
        adopt_window=settings.adopt_window,
        may_have_ended=predecessors.may_have_ended,
        metrics=metrics,
    )


async def _open_shelf(
    settings: Settings, secrets: Secrets, journal: Journal, metrics: Metrics, sweeps_every: float
) -> tuple[ImageShelf, ImageSweeper, Duty]:
    """Of images behind links and of answers that may be asked for again, and what sweeps them."""
    place, lives = settings.storage, Lifetimes(settings.images.media_ttl, settings.result_ttl)
    store = await asyncio.to_thread(open_store, place.storage_url, settings.journal.data_dir, metrics)
    # Two secrets: a link to a hosted image must not open a stored result.
    presigned, signer = place.media_links == "presigned", LinkSigner(secrets.every("media links"))
    dates = DatingClock()
    media = MediaStore(store, "media", signer, presigned=presigned, dates=dates)
    stores = Stores(media, MediaStore(store, "results", LinkSigner(secrets.every("results")), dates=dates))
    rows = StoredImages(dates=dates)
    book, duty = ImageBook(journal, settings.retention.storage_max_bytes, rows), Duty(IMAGES, journal)
    places = Places({"media": lives.link, "results": lives.result, PROBES: 0.0}, outliving=lives.longest)
    sweeper = ImageSweeper(store, book, duty, places, passing=(DatabaseUnavailableError,), every=sweeps_every)
    keep = Keep(settings.retention.keep_results)
    return ImageShelf(stores, book, StoreHealth(store), sweeper, lives, keep), sweeper, duty


@dataclass(frozen=True, slots=True)
class Counts:
    """What counts, and what shows it here: nothing where metrics are off, or on a port of their own."""

    metrics: Metrics
    exposition: Exposition | None


def open_counts(settings: MetricsSettings, registry: Registry) -> Counts:
    """Metrics of this process, counted together with those of others where they share a folder."""
    if not settings.enabled:
        return Counts(Metrics.off(), None)
    if settings.folder is None:
        own = Numbers.private()
        source: Readable = own
    else:
        source = SharedNumbers(settings.folder)
        own = source.take_slot()
    exposition = Exposition(source, __version__) if settings.port is None else None
    return Counts(Metrics(own, {model.air.lower(): model.id for model in registry.models}), exposition)


def secrets_of(settings: Settings) -> Secrets:
    """Out of the operator's own secret, else out of the Runware key, and those that were listed as old."""
    material = settings.journal.secret or settings.upstream.runware_api_key
    old = [secret.get_secret_value() for secret in settings.journal.old_secrets]
    return Secrets(material.get_secret_value() if material else SIMULATOR_KEY, old)
