"""The catalog as OpenAI's models endpoints."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.access.model_access import is_allowed
from app.catalog.registry import Registry, UnknownModelError
from app.domain.caller import Caller
from app.errors import NotFoundError
from app.openai_api.model_schema import describe_model
from app.openai_api.models import render_list, render_model, render_models
from app.openai_api.readers import read_boolean


class ModelRoutes:
    """`/models/…`. For known callers only: aliases are the operator's own words."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def list_models(self, _: Request, caller: Caller) -> Response:
        """All models that the key may use, in the order of the catalog."""
        key = caller.key
        if key is None or not key.limits.models:
            return Response(render_list(self._registry), media_type="application/json")
        allowed = [model for model in self._registry.models if is_allowed(key, model)]
        return Response(render_models(self._registry, allowed), media_type="application/json")

    async def retrieve_model(self, request: Request, caller: Caller) -> Response:
        """One model, by any of its names, which may hold `/` and `:`; with `?schema=true` what it accepts."""
        name = str(request.path_params["model_id"])
        try:
            model = self._registry.find_model(name)
        except UnknownModelError as error:
            message = f"The model `{name[:100]}` does not exist.{error.hint}"
            raise NotFoundError(message, param="model", code="model_not_found") from None
        if not is_allowed(caller.key, model):
            # As the list does: what a key may not use is not there for it.
            message = f"The model `{name[:100]}` does not exist for this API key. GET /v1/models lists what does."
            raise NotFoundError(message, param="model", code="model_not_found")
        if read_boolean({"schema": request.query_params.get("schema")}, "schema"):
            return JSONResponse(describe_model(model))
        return JSONResponse(render_model(self._registry, model))
