"""The two image endpoints: a request is read, carried out by `generation`, and answered in the way it asked for."""

import asyncio
from collections.abc import Awaitable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from app.api.bodies import NO_DEFAULTS, BodyReader
from app.api.context import ContextReader, prefers_background, wants_dry_run
from app.api.error_handlers import answer_failure, answer_unresolved
from app.api.facts import note_choice
from app.api.responses import DeliveryTracker, EventResponse, PiecewiseResponse, answer_images, holding
from app.api.sent_answers import SentAnswers
from app.catalog.labels import ModelLabels
from app.catalog.modes import Mode
from app.domain.caller import Caller
from app.domain.context import RequestContext
from app.domain.outcome import Answered, Outcome, Unresolved
from app.domain.request import ImageRequest
from app.domain.values import replace
from app.errors import GatewayError, InvalidRequestError
from app.generation.service import ImageService
from app.jobs.codec import view_of
from app.jobs.receipts import DeliveryReceipts
from app.journal.records import Receipt
from app.observability.logs import get_logger
from app.observability.tracing import running_span
from app.openai_api.render import model_headers, render_dry_run
from app.openai_api.request_log import render_record
from app.server.delivery import RequestState, state_of

_logger = get_logger("images")
_ACCEPTED = 202
_CLIENT_GONE = 499
"""What the log says of a caller who did not wait; nobody reads the answer."""


class ImageRoutes:
    """`/images/…`: `service` makes the images, `receipts` notes how their callers went."""

    def __init__(
        self,
        service: ImageService,
        receipts: DeliveryReceipts,
        contexts: ContextReader,
        bodies: BodyReader,
        labels: ModelLabels,
    ) -> None:
        self._service = service
        self._labels = labels
        self._receipts, self._sent = receipts, SentAnswers(receipts)
        self._contexts = contexts
        self._bodies = bodies

    def create_image(self, request: Request, caller: Caller) -> Awaitable[ASGIApp]:
        """Images from text, on some models guided by other images."""
        return self._answer(request, caller, Mode.GENERATE)

    def edit_image(self, request: Request, caller: Caller) -> Awaitable[ASGIApp]:
        """Images changed as the prompt says, from a form or from JSON."""
        return self._answer(request, caller, Mode.EDIT)

    async def refuse_variation(self, _: Request) -> Response:
        """Variations are retired; say what to use instead."""
        message = "Variations are retired: send the image to /v1/images/edits with a prompt."
        raise InvalidRequestError(message, code="unsupported_endpoint")

    async def _answer(self, request: Request, caller: Caller, mode: Mode) -> ASGIApp:
        """The answer to a request, holding its place in memory until it is sent."""
        context = self._contexts.read_context(request, caller)
        defaults = NO_DEFAULTS if caller.key is None else caller.key.defaults
        understood, ticket = await self._bodies.read_request(request, context, mode, defaults)
        state = state_of(request.scope)
        state.model, state.facts.model = self._labels.label_of(understood.model, mode), understood.model
        try:
            traced = running_span()
            if traced is not None:
                traced.note_prompt(understood.prompt or "")
            if understood.user is not None:
                _logger.info("user", id=context.request_id, user=understood.user)
            elsewhere = self._answer_elsewhere(request, understood, context)
            if elsewhere is not None:
                response = await elsewhere
            else:
                outcome = await state.unless_gone(self._service.generate(understood, context))
                response = self._answer_outcome(request, state, understood, outcome)
        except GatewayError as error:
            ticket.release()
            raise error.renamed(understood.names) from None
        except BaseException:
            ticket.release()
            raise
        return holding(response, ticket)

    def _answer_elsewhere(
        self, request: Request, understood: ImageRequest, context: RequestContext
    ) -> Awaitable[ASGIApp] | None:
        """The answer to who does not wait for images; None where the caller does, as nearly all do."""
        if request.scope["query_string"] and wants_dry_run(request):
            return self._estimate(request, understood, context)
        if understood.stream:
            return self._stream(request, understood, context)
        if understood.in_background or ("prefer" in request.headers and prefers_background(request.headers)):
            return self._submit(request, understood, context)
        return None

    async def _estimate(self, request: Request, understood: ImageRequest, context: RequestContext) -> Response:
        dry_run = await self._service.estimate_request(understood, context)
        # In a thread: the plan of an edit shows the hashes of megabytes of images.
        body = await asyncio.to_thread(render_dry_run, dry_run)
        headers = model_headers(dry_run.model.id, dry_run.adjustments)
        note_choice(state_of(request.scope).facts, dry_run.model, dry_run.adjustments)
        return Response(body, headers=headers, media_type="application/json")

    async def _stream(self, request: Request, understood: ImageRequest, context: RequestContext) -> ASGIApp:
        stream = await self._service.stream(understood, context)
        state_of(request.scope).request_id = stream.request_id
        return EventResponse(understood.mode, stream, DeliveryTracker(self._sent, stream.request_id))

    async def _submit(self, request: Request, understood: ImageRequest, context: RequestContext) -> ASGIApp:
        """202 with the record of a request that is carried out in the background."""
        accepted = await self._service.submit(understood, context)
        record = accepted.record
        state_of(request.scope).request_id = record.id
        state_of(request.scope).facts.executed_model = record.model
        headers = {"Location": f"/v1/requests/{record.id}", "Preference-Applied": "respond-async", "Retry-After": "1"}
        if accepted.is_replay:
            headers["Idempotent-Replayed"] = "true"
        # DEFERRED: this caller has the id, so it is no broken connection that an equal request would join (0062).
        delivery = DeliveryTracker(self._sent, record.id, receipt=Receipt.DEFERRED)
        return PiecewiseResponse([render_record(view_of(record))], headers, delivery, status=_ACCEPTED)

    def _answer_outcome(
        self, request: Request, state: RequestState, understood: ImageRequest, outcome: Outcome | None
    ) -> ASGIApp:
        # The caller has left. The work goes on apart from it, and a retry joins (0062).
        if outcome is None:
            state.facts.error = "disconnected"
            return Response(status_code=_CLIENT_GONE)
        if isinstance(outcome, Answered):
            return answer_images(state, self._sent, outcome.answer)
        state.request_id = outcome.request_id
        if isinstance(outcome, Unresolved):
            # The retry must find the request.
            self._receipts.acknowledge(outcome.request_id, Receipt.LOST)
            return answer_unresolved(request, outcome)
        # Any other error is final and counts as delivered.
        self._receipts.acknowledge(outcome.request_id, Receipt.DELIVERED)
        return answer_failure(request, replace(outcome, error=outcome.error.renamed(understood.names)))
