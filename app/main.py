"""The composition root: every part is built here."""

import asyncio
import gc
import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Engine

from app import __version__
from app.access.admission import Admission, Capacity, MemoryBudget
from app.access.authentication import Authenticator
from app.api.bodies import BodyReader
from app.api.context import ContextReader
from app.api.docs_pages import DocsPages
from app.api.error_handlers import error_handlers
from app.api.health import HealthRoutes
from app.api.images import ImageRoutes
from app.api.media import MediaRoutes
from app.api.middleware import add_middleware, connections_of
from app.api.models import ModelRoutes
from app.api.requests import RequestRoutes
from app.api.routes import Handlers, describe_routes, route_table, serve_routes
from app.catalog.loader import load_catalog
from app.catalog.model import Mode
from app.catalog.registry import Registry
from app.database.engine import open_database
from app.database.reader import Reader
from app.database.writer import Writer
from app.egress.download import DownloadPolicy, ResultDownloader
from app.egress.fetch import InputFetcher
from app.egress.names import Lookup, look_up
from app.egress.ways_out import WaysOut, open_ways
from app.generation.deliver import ImageDelivery
from app.generation.image_work import ImageWork
from app.generation.inputs import InputImages
from app.generation.open_bills import BillCompleter
from app.generation.own_links import OwnLinks
from app.generation.prepare import Policy, Preparer
from app.generation.resolve import Parts as RecoveryParts
from app.generation.resolve import Recovery
from app.generation.service import ImageService
from app.generation.uploads import InputUploads
from app.images.workers.pool import Workers
from app.jobs.leases import LEASE_SECONDS, LeaseKeeper
from app.jobs.result_store import ResultStore
from app.jobs.runner import JobRunner
from app.journal.bills import OpenBills
from app.journal.claims import Claims
from app.journal.history import History
from app.journal.journal import Journal
from app.journal.leases import Leases
from app.journal.outcomes import Outcomes
from app.journal.webhooks import WebhookBook
from app.media.links import derive_secret
from app.media.store import MediaStore
from app.observability.logs import configure_logs
from app.openai_api.request_log import render_webhook
from app.planning.fingerprint import TaskIds
from app.runware.client import RunwareClient
from app.runware.media_storage import MediaStorage
from app.runware.retry import RetryPolicy
from app.runware.transport import AiohttpTransport, Transport
from app.server.process import Shutdown, machine_memory, private_folder
from app.server.state import ProcessState
from app.settings.groups import UpstreamSettings
from app.settings.load import Settings, load_settings
from app.webhooks.dispatcher import DeliverySchedule, WebhookDispatcher
from app.webhooks.sender import WebhookSender
from app.webhooks.signing import WebhookSecrets

SIMULATOR_KEY = "simulator"
TITLE = "Spillway"
_GC_THRESHOLD = 50_000
_SHARE_OF_MEMORY = 3
"""A third of the memory is held at most, unless the settings say otherwise."""


def connect_runware(upstream: UpstreamSettings, ways: WaysOut) -> Transport:
    """The transport of production."""
    key = upstream.runware_api_key or SecretStr(SIMULATOR_KEY)
    return AiohttpTransport(upstream.runware_base_url, key, ways.runware.resolve)


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
    lease_seconds: float = LEASE_SECONDS
    """How long a process that stands still keeps what it runs."""


def create_app(settings: Settings, parts: Parts = Parts()) -> FastAPI:
    """The gateway as an ASGI application. Raises InvalidCatalogError."""
    registry = load_catalog(
        settings.catalog_dir, settings.model_aliases, (settings.default_model, settings.default_edit_model)
    )
    _configure_logs(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        shutdown = Shutdown()
        async with _build(settings, parts, registry, shutdown) as handlers:
            routes = route_table(handlers)
            authenticator = Authenticator(key.get_secret_value() for key in settings.api_keys)
            app.router.routes[:] = [*framework_routes, *serve_routes(routes, authenticator)]
            app.openapi = partial(describe_routes, app, routes)  # type: ignore[method-assign]
            gc.collect()
            # What exists now lives as long as the process: the collector need not walk over it again.
            gc.freeze()
            gc.set_threshold(_GC_THRESHOLD)
            yield ProcessState(connections_of(settings), shutdown).as_lifespan_state()

    app = FastAPI(
        title=TITLE,
        version=__version__,
        summary="An OpenAI-compatible image gateway in front of Runware",
        lifespan=lifespan,
        exception_handlers=error_handlers(settings),
        redirect_slashes=False,
        root_path_in_servers=False,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs else None,
    )
    framework_routes = tuple(app.router.routes)
    add_middleware(app, settings)
    return app


def application() -> FastAPI:
    """The gateway of one server process, from the environment that `spillway serve` prepared."""
    return create_app(load_settings(os.environ))


# The order of the end matters: paid work ends and is written down while database and network are there, and the writer
# closes behind everything that may still post an outcome.
@asynccontextmanager
async def _build(settings: Settings, parts: Parts, registry: Registry, shutdown: Shutdown) -> AsyncIterator[Handlers]:
    """Every part, in the order of dependency; given back in the opposite one."""
    ways = open_ways(settings, parts.lookup)
    sender = WebhookSender(ways.webhooks, allow_private=settings.allow_private_webhooks)
    transport = parts.connect(settings, ways)
    runware = RunwareClient(transport, sync_wait=settings.sync_wait, retry=parts.retries)
    workers = Workers(settings.image_workers)
    media_store, results = await _stores(settings)
    storage = MediaStorage(transport)
    journal = _journal(settings, await asyncio.to_thread(_open_database, settings))
    keeper = LeaseKeeper(journal, parts.lease_seconds)
    runner = JobRunner(journal, ResultStore(results, media_store, registry), keeper)
    downloads = ResultDownloader(ways.results, parts.downloads)
    delivery = ImageDelivery(workers, downloads, media_store, 2 * settings.max_output_pixels)
    secrets = WebhookSecrets(lambda purpose: _derive(settings, purpose))
    webhooks = WebhookDispatcher(WebhookBook(journal.writer), sender, secrets, render_webhook, parts.webhooks)
    memory = _memory(settings)
    admission = Admission(settings.max_in_flight, settings.max_queued, settings.max_queued_per_key)
    policy = _policy(settings, parts.retries)
    inputs = _Inputs(ways.inputs, OwnLinks(media_store, settings.max_image_bytes), workers)
    service = parts.service(
        preparer=_preparer(settings, registry, inputs, sender, policy),
        sharing=InputUploads(storage),
        runware=runware,
        delivery=delivery,
        policy=policy,
        works=runner,
        capacity=Capacity(admission, memory.work),
        on_webhook_due=webhooks.wake,
    )
    bills = BillCompleter(
        OpenBills(journal.writer, parts.retries.first_bill), runware, looks_every=parts.retries.looks_for_bills
    )
    recovery = Recovery(
        RecoveryParts(journal, keeper, runner, runware, delivery, registry, admission), parts.retries.longest_search
    )
    for part in (workers, runner, recovery, bills, webhooks):
        part.start()
    bodies = BodyReader(memory, settings, settings, settings)
    try:
        yield Handlers(
            images=ImageRoutes(service, runner.receipts, ContextReader(settings, settings), bodies),
            models=ModelRoutes(registry),
            media=MediaRoutes(media_store),
            requests=RequestRoutes(journal.history, runner, secrets),
            health=HealthRoutes(runware, journal, registry, settings),
            docs=DocsPages(f"{TITLE} {__version__}") if settings.docs else None,
        )
    finally:
        recovery.stop()
        bills.stop()
        await runner.close(shutdown.remaining(settings.grace))
        await webhooks.close()
        for end in (journal.reader.close, journal.writer.close):
            await asyncio.to_thread(end)
        for connected in (ways, storage, runware, workers):
            await connected.close()


def _journal(settings: Settings, engine: Engine) -> Journal:
    """What is written down of requests, and how."""
    writer = Writer(engine)
    reader = Reader(engine, writer)
    claims = Claims(key_ttl=settings.idempotency_ttl, adopt_window=settings.adopt_window)
    return Journal(writer, reader, claims, Outcomes(), Leases(claims.owner), History(reader))


async def _stores(settings: Settings) -> tuple[MediaStore, MediaStore]:
    """Of images behind links, and of answers that may be asked for again."""
    # Two secrets: a link to a hosted image must not open a stored result.
    links, results = (_derive(settings, purpose) for purpose in ("media links", "results"))
    stores = (
        MediaStore(settings.data_dir / "media", links, settings.media_ttl, settings.idempotency_ttl),
        MediaStore(settings.data_dir / "results", results, settings.idempotency_ttl),
    )
    for store in stores:
        await store.open()
    return stores


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What input images are got and looked at with."""

    fetcher: InputFetcher
    links: OwnLinks
    workers: Workers


def _memory(settings: Settings) -> MemoryBudget:
    max_bytes = settings.max_bytes_in_flight or machine_memory() // _SHARE_OF_MEMORY
    return MemoryBudget(max_bytes, settings.max_queued, settings.max_queued_per_key)


def _policy(settings: Settings, pace: RetryPolicy) -> Policy:
    return Policy(
        {Mode.GENERATE: settings.default_model, Mode.EDIT: settings.default_edit_model},
        settings.request_timeout,
        native_links=not settings.host_all_images,
        stores_prompts=settings.store_prompts,
        longest_work=pace.longest_work,
        max_output_pixels=settings.max_output_pixels,
    )


def _preparer(
    settings: Settings, registry: Registry, inputs: _Inputs, sender: WebhookSender, policy: Policy
) -> Preparer:
    work = ImageWork(inputs.workers, settings.max_image_pixels)
    return Preparer(
        registry=registry,
        inputs=InputImages(work, inputs.fetcher, inputs.links, max_bytes=settings.max_image_bytes),
        task_ids=TaskIds(_derive(settings, "task ids"), lambda: str(uuid.uuid4())),
        policy=policy,
        webhooks=sender,
    )


def _open_database(settings: Settings) -> Engine:
    """The journal's database, its tables up to date."""
    private_folder(settings.data_dir)
    own = f"sqlite:///{(settings.data_dir / 'spillway.db').resolve()}"
    return open_database(settings.database_url.get_secret_value() if settings.database_url else own)


def _derive(settings: Settings, purpose: str) -> bytes:
    """A secret for one purpose, out of the operator's own or the Runware key."""
    material = settings.secret or settings.runware_api_key
    return derive_secret(purpose, material.get_secret_value() if material else SIMULATOR_KEY)


def _configure_logs(settings: Settings) -> None:
    # Known to the log, which blackens them wherever they turn up.
    secrets = [settings.runware_api_key, settings.secret, settings.database_url, *settings.api_keys]
    configure_logs(settings.log_format, settings.log_level, [key.get_secret_value() for key in secrets if key])
