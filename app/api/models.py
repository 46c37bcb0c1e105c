"""The catalog as OpenAI's models endpoints."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api.context import gateway_of
from app.catalog.registry import UnknownModelError
from app.errors import NotFoundError
from app.openai_api.model_schema import describe_model
from app.openai_api.models import render_list, render_model
from app.openai_api.readers import read_boolean


async def list_models(request: Request) -> Response:
    """All models, in the order of the catalog."""
    gateway = gateway_of(request)
    # With a key as well: aliases are the operator's own words.
    gateway.keys.check(request.headers)
    return Response(render_list(gateway.registry), media_type="application/json")


async def retrieve_model(request: Request) -> Response:
    """One model, by any of its names, which may hold `/` and `:`; with `?schema=true` what it accepts."""
    gateway = gateway_of(request)
    gateway.keys.check(request.headers)
    name = str(request.path_params["model_id"])
    try:
        model = gateway.registry.find(name)
    except UnknownModelError as error:
        hint = f" Did you mean {', '.join(error.nearest)}?" if error.nearest else ""
        message = f"The model `{name[:100]}` does not exist.{hint}"
        raise NotFoundError(message, param="model", code="model_not_found") from None
    if read_boolean({"schema": request.query_params.get("schema")}, "schema"):
        return JSONResponse(describe_model(model))
    return JSONResponse(render_model(gateway.registry, model))
