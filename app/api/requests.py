"""Requests of the past: what became of them, their images, and forgetting them.

Each key sees its own only; an administrator reads those of all, and each such reading is written down.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from app.access.audit import REQUEST_READ, RESULT_READ, AuditLog
from app.api.context import admin_required
from app.api.error_handlers import answer_failure
from app.api.keys import NOT_STORED
from app.api.responses import answer_images, show_images
from app.api.sent_answers import SentAnswers
from app.api.tenants import Tenants
from app.domain.caller import Caller
from app.domain.outcome import Failed, Unresolved
from app.errors import NotFoundError
from app.jobs.codec import view_of
from app.jobs.runner import JobRunner
from app.journal.history import Filter, History
from app.journal.notices import OPERATOR
from app.journal.records import Record
from app.openai_api.readers import read_boolean
from app.openai_api.request_log import read_question, render_list, render_record, render_webhook
from app.server.delivery import state_of
from app.webhooks.signing import WebhookSecrets

_LONGEST_ID = 64
_JSON = "application/json"


class RequestRoutes:
    """`/requests/…`, and the secret that signs what is called when one ends."""

    def __init__(
        self, history: History, runner: JobRunner, secrets: WebhookSecrets, audit: AuditLog, tenants: Tenants
    ) -> None:
        self._history = history
        self._tenants = tenants
        self._runner, self._sent = runner, SentAnswers(runner.receipts)
        self._secrets = secrets
        self._audit = audit

    async def list_requests(self, request: Request, caller: Caller) -> Response:
        """The newest requests of this key, for an administrator those of all, in pages; `summary=true` adds sums."""
        question = read_question(request.query_params)
        status = question.status.value if question.status else None
        tenant = await self._tenants.tenant_of(question.key, caller)
        wanted = Filter(tenant, question.created_after, question.created_before, status, question.model, question.id)
        records, more = await self._history.page(
            wanted, question.limit, after=question.starting_after, before=question.ending_before
        )
        sums = await self._history.sums(wanted) if question.summary else None
        page = render_list([view_of(record) for record in records], question, more=more, sums=sums)
        return Response(page, media_type=_JSON)

    async def retrieve_request(self, request: Request, caller: Caller) -> Response:
        """What became of one request."""
        return Response(
            render_record(view_of(await self._find_readable(request, caller, REQUEST_READ))), media_type=_JSON
        )

    async def retrieve_result(self, request: Request, caller: Caller) -> ASGIApp:
        """The images answer of a request; 202 with its state while it runs, the error it ended with."""
        record = await self._find_readable(request, caller, RESULT_READ)
        outcome = await self._runner.join(record, 0)
        if isinstance(outcome, Unresolved):
            body = render_record(view_of(record))
            return Response(body, status_code=202, headers={"Retry-After": "1"}, media_type=_JSON)
        if isinstance(outcome, Failed):
            return answer_failure(request, outcome)
        # A look delivers nothing: the caller that lost this answer may still come for it (0182).
        if record.tenant != caller.tenant or read_boolean({"peek": request.query_params.get("peek")}, "peek"):
            return show_images(outcome.answer)
        # Before the answer is sent: from here on this call is a caller whose connection may break (0062).
        state = state_of(request.scope)
        await self._runner.rejoin(record.id, state.request_id)
        return answer_images(state, self._sent, outcome.answer)

    async def delete_payloads(self, request: Request, caller: Caller) -> Response:
        """Forget images and prompt of a request; what is known about it stays."""
        await self._runner.eraser.erase(await self._find_own(request, caller))
        return Response(status_code=204)

    async def retrieve_webhook_secret(self, request: Request, caller: Caller) -> Response:
        """The secret that signs this key's webhooks; with `?of=operator` that of the operator's, for administrators."""
        owner = caller.tenant
        if request.query_params.get("of") == OPERATOR:
            if not caller.is_admin:
                raise admin_required()
            owner = OPERATOR
        return JSONResponse({"object": "webhook_secret", "secret": self._secrets.shown(owner)}, headers=NOT_STORED)

    async def _find_readable(self, request: Request, caller: Caller, action: str) -> Record:
        """The caller's own request, or for an administrator that of anybody, once the reading is written down."""
        if not caller.is_admin:
            return await self._find_own(request, caller)
        record = await self._history.find_request(_id_in(request))
        if record is None:
            raise _no_request()
        if record.tenant != caller.tenant:
            await self._audit.note_reading(caller, action, record.id)
        return record

    async def _find_own(self, request: Request, caller: Caller) -> Record:
        record = await self._history.find_request(_id_in(request), caller.tenant)
        if record is None:
            raise _no_request()
        return record


def _id_in(request: Request) -> str:
    return str(request.path_params["request_id"])[:_LONGEST_ID]


def _no_request() -> NotFoundError:
    # The same for requests of other keys: ids must not tell whether they exist.
    return NotFoundError("There is no such request of this key.", code="request_not_found")


def webhook_body(record: Record) -> bytes:
    """What is sent when a request has ended: what its own route says of it."""
    return render_webhook(view_of(record))
