"""The composition root: every part is built here, every route is listed here."""

import gc
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from app import __version__
from app.access.keys import KeyRing
from app.api import images, media, models, operations
from app.api.dependencies import Gateway, Images
from app.api.documentation import add_request_schemas, describe_body, describe_errors, describe_images
from app.api.error_handlers import HANDLERS
from app.api.middleware import RequestMiddleware
from app.catalog.loader import load_catalog
from app.catalog.model import Mode
from app.catalog.registry import Registry
from app.generation.deliver import DeliveryDesk
from app.generation.pictures import PictureDesk
from app.generation.service import ImageService
from app.images.fetch import Fetcher
from app.images.workers import Workers
from app.media.links import derive_secret
from app.media.store import MediaStore
from app.observability.logs import configure_logs
from app.openai_api.schemas import EditForm, EditRequest, GenerationRequest, ModelItem, ModelList
from app.runware.client import RunwareClient
from app.runware.retry import Pace
from app.runware.transport import AiohttpTransport, Transport
from app.settings import Settings

PREFIXES = ("/v1", "/openai/v1", "")
"""OpenAI's own, Lumenfall's, and that of an SDK with a bare base URL."""
SIMULATOR_KEY = "simulator"
_GC_THRESHOLD = 50_000
Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(
    settings: Settings,
    *,
    connect: Callable[[], Transport] | None = None,
    images_override: Images | None = None,
    pace: Pace | None = None,
) -> FastAPI:
    """The gateway as an ASGI application.

    The seams of tests: `connect` makes another transport to Runware, `images_override` stands in for the whole use
    case, `pace` sets retry and polling times. Raises InvalidCatalogError.
    """
    registry = load_catalog(settings.catalog_dir, settings.model_aliases)
    _configure_logs(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _build(settings, registry, connect, images_override, pace) as gateway:
            app.state.gateway = gateway
            gc.collect()
            gc.freeze()
            gc.set_threshold(_GC_THRESHOLD)
            yield

    app = FastAPI(
        title="Spillway",
        version=__version__,
        summary="An OpenAI-compatible image gateway in front of Runware",
        lifespan=lifespan,
        exception_handlers=HANDLERS,  # type: ignore[arg-type]  # Starlette types handlers by their base class
        redirect_slashes=False,
    )
    headers = {"X-Spillway-Upstream": "simulator"} if settings.upstream_name == "simulator" else {}
    app.add_middleware(RequestMiddleware, extra_headers=headers)
    for prefix in PREFIXES:
        _add_routes(app, prefix, documented=prefix == PREFIXES[0])
    app.add_api_route("/healthz", operations.healthz, methods=["GET"], tags=["operations"])
    app.add_api_route("/readyz", operations.readyz, methods=["GET"], tags=["operations"])
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _add_routes(app: FastAPI, prefix: str, *, documented: bool) -> None:
    """The public routes below one prefix, straight on the application: an included router costs every call."""
    add = partial(_add_route, app, prefix, documented)
    add(
        "/images/generations",
        images.create_image,
        methods=["POST"],
        tags=["images"],
        responses=describe_images(),
        openapi_extra=describe_body(GenerationRequest),
    )
    add(
        "/images/edits",
        images.edit_image,
        methods=["POST"],
        tags=["images"],
        responses=describe_images(),
        openapi_extra=describe_body(EditRequest, EditForm),
    )
    app.add_api_route(f"{prefix}/images/variations", images.refuse_variation, methods=["POST"], include_in_schema=False)
    add(
        "/models",
        models.list_models,
        methods=["GET"],
        tags=["models"],
        responses={200: {"model": ModelList}, **describe_errors(401)},
    )
    add(
        "/models/{model_id:path}",
        models.retrieve_model,
        methods=["GET"],
        tags=["models"],
        responses={200: {"model": ModelItem}, **describe_errors(401, 404)},
    )
    add("/media/{name}", media.get_media, methods=["GET"], tags=["media"], responses=describe_errors(404))


def _add_route(app: FastAPI, prefix: str, documented: bool, path: str, endpoint: Endpoint, **options: Any) -> None:  # noqa: FBT001 - bound by keyword order in one place
    app.add_api_route(f"{prefix}{path}", endpoint, include_in_schema=documented, **options)


@asynccontextmanager
async def _build(
    settings: Settings,
    registry: Registry,
    connect: Callable[[], Transport] | None,
    images_override: Images | None,
    pace: Pace | None,
) -> AsyncIterator[Gateway]:
    """Every part, in the order of dependency; given back in the opposite one."""
    key = settings.runware_api_key or SecretStr(SIMULATOR_KEY)
    transport = connect() if connect else AiohttpTransport(settings.runware_base_url, key)
    runware = RunwareClient(transport, sync_wait=settings.sync_wait, pace=pace)
    fetcher = Fetcher(max_bytes=settings.max_image_bytes, allow_private=settings.allow_private_input_urls)
    workers = Workers()
    media_store = MediaStore(settings.data_dir / "media", _secret(settings), settings.media_ttl)
    service = ImageService(
        registry=registry,
        pictures=PictureDesk(
            workers, fetcher, max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels
        ),
        runware=runware,
        delivery=DeliveryDesk(workers, fetcher, media_store),
        new_task_id=lambda: str(uuid.uuid4()),
        default_models={Mode.GENERATE: settings.default_model, Mode.EDIT: settings.default_edit_model},
        request_timeout=settings.request_timeout,
        native_links=not settings.host_all_pictures,
    )
    try:
        yield Gateway(
            settings=settings,
            keys=KeyRing(key.get_secret_value() for key in settings.api_keys),
            registry=registry,
            images=images_override or service,
            media=media_store,
            runware=runware,
        )
    finally:
        await fetcher.close()
        await runware.close()


def _secret(settings: Settings) -> bytes:
    """What signs links: the operator's secret, or one derived from the Runware key."""
    material = settings.secret or settings.runware_api_key
    return derive_secret("media links", material.get_secret_value() if material else SIMULATOR_KEY)


def _configure_logs(settings: Settings) -> None:
    secrets = [settings.runware_api_key, settings.secret, *settings.api_keys]
    configure_logs(settings.log_format, settings.log_level, [key.get_secret_value() for key in secrets if key])


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        add_request_schemas(document)
        app.openapi_schema = document
    return app.openapi_schema
