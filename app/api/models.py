"""The catalog as OpenAI's models endpoints."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.catalog.registry import Registry, UnknownModelError
from app.domain.caller import Caller
from app.errors import NotFoundError
from app.openai_api.model_schema import describe_model
from app.openai_api.models import render_list, render_model
from app.openai_api.readers import read_boolean


class ModelRoutes:
    """`/models/…`. For known callers only: aliases are the operator's own words."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def list_models(self, _: Request, _caller: Caller) -> Response:
        """All models, in the order of the catalog."""
        return Response(render_list(self._registry), media_type="application/json")

    async def retrieve_model(self, request: Request, _caller: Caller) -> Response:
        """One model, by any of its names, which may hold `/` and `:`; with `?schema=true` what it accepts."""
        name = str(request.path_params["model_id"])
        try:
            model = self._registry.find_model(name)
        except UnknownModelError as error:
            message = f"The model `{name[:100]}` does not exist.{error.hint}"
            raise NotFoundError(message, param="model", code="model_not_found") from None
        if read_boolean({"schema": request.query_params.get("schema")}, "schema"):
            return JSONResponse(describe_model(model))
        return JSONResponse(render_model(self._registry, model))
