"""The composition root: every part is built here, on what `resources` opened."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from app.access.admission import Admission, MemoryBudget
from app.access.authentication import Authenticator
from app.access.callers_keys import CallersKeys
from app.access.gates import Gates
from app.access.key_ring import KeyRing
from app.access.metrics_key import MetricsKey
from app.access.passthrough import PassthroughAuthenticator
from app.api.balance import BalanceRoutes
from app.api.bodies import BodyReader
from app.api.context import ContextReader
from app.api.gateway import Gateway
from app.api.gauges import Gauges, Watched
from app.api.health import HealthRoutes
from app.api.images import ImageRoutes
from app.api.keys import KeyRoutes
from app.api.ledger import LedgerRoutes
from app.api.media import MediaRoutes
from app.api.metrics import MetricsRoutes
from app.api.middleware import Watching, connections_of
from app.api.models import ModelRoutes
from app.api.readiness import Readiness
from app.api.requests import RequestRoutes, webhook_body
from app.api.routes import Handlers, route_table
from app.api.site import Site
from app.api.tenants import Tenants
from app.api.usage import UsageRoutes
from app.catalog.labels import ModelLabels
from app.catalog.loader import load_catalog
from app.catalog.registry import Registry
from app.egress.download import ResultDownloader
from app.generation.deliver import ImageDelivery
from app.generation.execute import ImageExecutor
from app.generation.image_work import ImageWork
from app.generation.inputs import InputImages
from app.generation.open_bills import BillCompleter
from app.generation.own_links import OwnLinks
from app.generation.prepare import Preparer, policy_of
from app.generation.resolve import TaskFinder
from app.generation.service import ImageService
from app.generation.uploads import InputUploads
from app.images.hashing import ImageHash
from app.jobs.leases import LeaseKeeper
from app.jobs.memory import KeyMemory
from app.jobs.result_store import ResultStore
from app.jobs.retention import JournalSweeper
from app.jobs.runner import JobRunner
from app.jobs.takeover import Takeover
from app.journal.outcomes import OpenBills
from app.ledger.retention import Retention
from app.media.dating import DatingClock
from app.observability.background import Loop
from app.observability.hidden import HiddenValues
from app.observability.logs import configure_logs
from app.observability.metrics import Metrics
from app.planning.fingerprint import TaskIds
from app.resources import SIMULATOR_KEY, Counts, Parts, Resources, open_counts, open_resources, secrets_of
from app.runware.keys import OwnKey
from app.runware.retry import RetryPolicy
from app.server.connections import ProcessState
from app.server.ending import Ending
from app.server.free_memory import FreeMemory
from app.server.process import Shutdown, bytes_in_flight
from app.settings.groups import ImageSettings
from app.settings.load import Settings
from app.webhooks.dispatcher import Dispatchers
from app.webhooks.sender import WebhookSender
from app.webhooks.signing import WebhookSecrets

_GC_THRESHOLD = 50_000


def create_app(settings: Settings, parts: Parts = Parts(), registry: Registry | None = None) -> Gateway:
    """The gateway as an ASGI application. Raises InvalidCatalogError where the catalog is still to be read."""
    models = settings.models
    registry = registry or load_catalog(
        models.catalog_dir, models.model_aliases, (models.default_model, models.default_edit_model)
    )
    # Known to the log, which blackens them wherever they turn up.
    hidden = HiddenValues(settings.secret_values())
    configure_logs(settings.logs.log_format, settings.logs.log_level, hidden)
    counts, tracer = open_counts(settings.metrics, registry), parts.tracer(settings.traces)

    @asynccontextmanager
    async def lifespan(app: Gateway) -> AsyncIterator[dict[str, object]]:
        shutdown = Shutdown()
        async with _build(settings, parts, registry, hidden, counts, shutdown) as (handlers, authenticator, gates):
            app.serve(route_table(handlers), authenticator, gates.meters)
            gc.collect()
            # What exists now lives as long as the process: the collector need not walk over it again.
            gc.freeze()
            gc.set_threshold(_GC_THRESHOLD)
            gc.enable()
            state = ProcessState(connections_of(settings), shutdown)
            with Ending(state, settings.server.drain).listening():
                yield state.as_lifespan_state()
        # Last, so that the end of what ran is in its trace; in a thread, since a collector may not answer.
        await asyncio.to_thread(tracer.close)

    return Gateway(settings, lifespan, Watching(hidden, counts.metrics, tracer))


@asynccontextmanager
async def _build(
    settings: Settings, parts: Parts, registry: Registry, hidden: HiddenValues, counts: Counts, shutdown: Shutdown
) -> AsyncIterator[tuple[Handlers, Authenticator, Gates]]:
    """Every part, in the order of dependency: what answers, and what says who asks."""
    images, load, hooks, retries = settings.images, settings.load, settings.webhooks, parts.retries
    # One secret for each purpose: what signs links must not open results or foretell task ids (0064).
    own_secrets = secrets_of(settings)
    callers_keys = CallersKeys() if settings.server.passes_keys_on else None
    keys = callers_keys or OwnKey(settings.upstream.runware_api_key or SecretStr(SIMULATOR_KEY))
    opened = await open_resources(settings, parts, keys, own_secrets, counts.metrics)
    ways, runware, journal = opened.ways, opened.runware, opened.journal
    secrets = WebhookSecrets(own_secrets.every)
    sender = WebhookSender(ways.webhooks, allow_private=hooks.allow_private_webhooks, trust=ways.trust)
    webhooks = Dispatchers(journal.writer, sender, secrets, webhook_body, hooks.operator_url, parts.webhooks)
    memory = MemoryBudget(load.max_bytes_in_flight or bytes_in_flight(), load)
    ids, keeper = TaskIds(own_secrets.lasting("task ids")), LeaseKeeper(journal, parts.lease_seconds)
    executor, known = _executor(opened, parts, registry, memory, images, counts.metrics), KeyMemory(parts.remembers)
    kept, admission = ResultStore(opened.shelf, registry, dates=DatingClock()), Admission.of_tasks(runware, load)
    gates = Gates.on(admission, journal.reader, settings.spending, counts.metrics)
    watched = Watched(admission, memory, runware, opened.account, journal.writer, opened.workers, opened.sweeper)
    gauges = Gauges(counts.metrics, watched)
    runner = JobRunner(journal, kept, keeper, executor, known, gates=gates, task_ids=ids, webhooks=webhooks)
    policy, inputs = policy_of(settings, retries.longest_work), _inputs(opened, images)
    preparer = Preparer(registry=registry, inputs=inputs, task_ids=ids, policy=policy, webhooks=sender)
    service = parts.service(preparer, runner, policy, counts.metrics)
    own = (ring := KeyRing.on(journal.writer, journal.reader, settings.server, time.time)).authenticator
    passing = callers_keys and PassthroughAuthenticator(own, callers_keys, hidden, own_secrets.lasting("callers"))
    # Started only when all of them exist: what an earlier process left behind is taken up at once.
    looks = _background(opened, settings, retries, admission, memory)
    background = (Takeover(journal, keeper, runner, keys).loop, *looks, gauges.loop)
    for part in (opened.account, runner, webhooks):
        part.start()
    for loop in background:
        loop.start()
    tenants, labels = Tenants(journal.reader, own.names), ModelLabels(registry, policy.default_models)
    try:
        handlers = Handlers(
            images=_image_routes(service, runner, memory, settings, labels, opened.image_hash),
            models=ModelRoutes(registry),
            media=MediaRoutes(opened.media),
            requests=RequestRoutes(journal.history, runner, secrets, ring.audit, tenants),
            keys=KeyRoutes(ring),
            health=_health_routes(opened, registry, settings, memory, shutdown),
            usage=UsageRoutes(journal.reader, registry, tenants),
            balance=BalanceRoutes(opened.account, settings.upstream.low_balance),
            ledger=LedgerRoutes(journal.reader),
            site=Site.on(settings),
            metrics=_metrics_routes(counts, gauges, settings),
        )
        await opened.workers.warm()
        yield handlers, passing or own, gates
    finally:
        # The order matters: paid work ends and is written down while database and network are there, and the journal
        # closes behind everything that may still post an outcome.
        for loop in background:
            loop.stop()
        await runner.close(shutdown.remaining(settings.server.grace))
        await webhooks.close()
        await ring.close()
        gauges.state()  # a last time: what was counted in passing since the last look is in it
        await opened.close()


def _background(
    opened: Resources, settings: Settings, retries: RetryPolicy, tasks: Admission, memory: MemoryBudget
) -> tuple[Loop, ...]:
    """What looks after requests that have ended, their images, and the memory they leave."""
    journal, first, every = opened.journal, OpenBills(retries.first_bill), retries.looks_for_bills
    bills = BillCompleter(journal.writer, first, opened.runware, looks_every=every)
    sweeper = JournalSweeper(journal, Retention(settings.journal.journal_ttl))
    free = FreeMemory(lambda: not (tasks.in_flight or memory.in_flight))
    return bills.loop, sweeper.loop, opened.sweeper.loop, free.loop


def _inputs(opened: Resources, images: ImageSettings) -> InputImages:
    work = ImageWork(opened.workers, images.max_image_pixels)
    links = OwnLinks(opened.media, opened.ways.store, images.max_image_bytes)
    return InputImages(work, opened.ways.inputs, links, max_bytes=images.max_image_bytes)


def _health_routes(
    opened: Resources, registry: Registry, settings: Settings, memory: MemoryBudget, shutdown: Shutdown
) -> HealthRoutes:
    folder, runware, account = settings.journal.data_dir, opened.runware, opened.account
    readiness = Readiness(runware, account, opened.journal, opened.shelf, opened.workers, folder, shutdown)
    return HealthRoutes(readiness, registry, settings.upstream, memory)


def _image_routes(
    service: ImageService,
    runner: JobRunner,
    memory: MemoryBudget,
    settings: Settings,
    labels: ModelLabels,
    image_hash: ImageHash,
) -> ImageRoutes:
    contexts = ContextReader(settings.server, settings.models)
    bodies = BodyReader(memory, settings.server, settings.images, settings.upstream, image_hash)
    return ImageRoutes(service, runner.receipts, contexts, bodies, labels)


def _metrics_routes(counts: Counts, gauges: Gauges, settings: Settings) -> MetricsRoutes | None:
    shown = counts.exposition
    return None if shown is None else MetricsRoutes(shown, gauges, MetricsKey(settings.metrics.key))


def _executor(
    opened: Resources,
    parts: Parts,
    registry: Registry,
    memory: MemoryBudget,
    images: ImageSettings,
    metrics: Metrics,
) -> ImageExecutor:
    """Makes images of tasks, and finds those of tasks that were sent before."""
    downloads = ResultDownloader(opened.ways.results, parts.downloads)
    delivery = ImageDelivery(opened.workers, downloads, opened.shelf, 2 * images.max_output_pixels, metrics)
    finder = TaskFinder(opened.runware, registry, parts.retries.longest_search)
    uploads, longest = InputUploads(opened.storage), parts.retries.longest_work
    return ImageExecutor(opened.runware, uploads, delivery, finder, memory=memory.work, longest_work=longest)
