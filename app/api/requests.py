"""Requests of the past: what became of them, their images, and forgetting them. Each key sees its own only."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api.context import Gateway, gateway_of, request_id_of
from app.api.images import PiecewiseResponse
from app.api.receipts import track_delivery
from app.errors import NotFoundError, StillProcessingError
from app.journal.history import Filter
from app.journal.records import Record
from app.openai_api.render import answer_headers, render_answer
from app.openai_api.request_log import read_question, render_list, render_record, render_summary


async def list_requests(request: Request) -> Response:
    """The newest requests of this key, in pages; with `summary=true` sums over all of them."""
    gateway = gateway_of(request)
    tenant = gateway.keys.check(request.headers)
    question = read_question(request.query_params)
    status = question.status.value if question.status else None
    wanted = Filter(tenant, question.created_after, question.created_before, status, question.model)
    records, more = await gateway.history.page(
        wanted, question.limit, after=question.starting_after, before=question.ending_before
    )
    page = render_list(records, question, more=more)
    if question.summary:
        page["summary"] = render_summary(await gateway.history.sums(wanted))
    return JSONResponse(page)


async def retrieve_request(request: Request) -> Response:
    """What became of one request."""
    gateway = gateway_of(request)
    return JSONResponse(render_record(await _own(request, gateway)))


async def retrieve_result(request: Request) -> Response:
    """The images answer of a request; 202 with its state while it runs, the error it ended with."""
    gateway = gateway_of(request)
    record = await _own(request, gateway)
    try:
        answer = await gateway.works.join(record, 0)
    except StillProcessingError:
        return JSONResponse(render_record(record), status_code=202, headers={"Retry-After": "1"})
    # Before the answer is sent: from here on this call is a caller whose connection may break (0062).
    await gateway.works.rejoin(record.id, request_id_of(request))
    request.scope["state"]["request_id"] = answer.request_id
    return PiecewiseResponse(
        render_answer(answer), answer_headers(answer), track_delivery(gateway.images, answer.request_id, answer)
    )


async def delete_payloads(request: Request) -> Response:
    """Forget images and prompt of a request; what is known about it stays."""
    gateway = gateway_of(request)
    record = await _own(request, gateway)
    await gateway.works.forget(record)
    return Response(status_code=204)


async def retrieve_webhook_secret(request: Request) -> Response:
    """The secret that signs this key's webhooks."""
    gateway = gateway_of(request)
    tenant = gateway.keys.check(request.headers)
    return JSONResponse({"object": "webhook_secret", "secret": gateway.webhook_secrets.shown(tenant)})


async def _own(request: Request, gateway: Gateway) -> Record:
    tenant = gateway.keys.check(request.headers)
    record = await gateway.journal.find(str(request.path_params["request_id"])[:64], tenant)
    if record is None:
        # The same for requests of other keys: ids must not tell whether they exist.
        raise NotFoundError("There is no such request of this key.", code="request_not_found")
    return record
