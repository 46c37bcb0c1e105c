"""Answers that are sent piece by piece, and what the end of their sending means for the request behind them.

Owns the sending. What stands in the pieces is `openai_api`'s affair, who notes a receipt the runner's.
"""

from collections.abc import Sequence
from functools import lru_cache

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.admission import Ticket
from app.api.facts import add_part, note_answer, note_choice
from app.api.sent_answers import SentAnswers
from app.catalog.modes import Mode
from app.domain.answer import Answer
from app.domain.outcome import Failed, Part, Unresolved
from app.errors import StillProcessingError
from app.generation.stream import Stream
from app.jobs.job import Event
from app.journal.records import Receipt
from app.observability.access_log import RequestFacts
from app.openai_api.events import KEEP_ALIVE, render_completed, render_failed
from app.openai_api.render import Chunk, answer_headers, model_headers, render_answer
from app.server.answering import WITH_BODY
from app.server.delivery import RequestState, state_of

_JOINED_BYTES = 16_384
"""Up to here one write is cheaper than several."""
_REMEMBERED = 256
"""Most answers tell the same of themselves; bounded, because the names of models come from callers."""
_JSON = (b"content-type", b"application/json")


class DeliveryTracker:
    """Notes at the end of an answer how its caller went.

    `answer` is kept where the caller did not get it, `receipt` is what a good end means. An answer with images counts
    as delivered once the connection goes on or ends in peace, or stays silent for a while: a caller that closes without
    having read it resets the connection.
    """

    def __init__(
        self, sent: SentAnswers, request_id: str, answer: Answer | None = None, receipt: Receipt = Receipt.DELIVERED
    ) -> None:
        self._sent, self._request_id, self._answer, self._receipt = sent, request_id, answer, receipt
        self._is_lost = False

    def check_connection(self, state: RequestState) -> None:
        """Look once whether the caller is there, before the last piece: afterwards nobody keeps the images."""
        if state.has_ended:
            self.mark_lost()

    def mark_lost(self) -> None:
        """The caller is known to go without all of it."""
        if not self._is_lost:
            self._is_lost = True
            # At once, before the caller is told: its next request must find this one (0062).
            self._sent.receipts.acknowledge(self._request_id, Receipt.LOST, self._answer)

    def settle_receipt(self, state: RequestState) -> None:
        """Everything was sent that could be: lost, or sent and to be listened for."""
        if self._is_lost:
            return
        if self._receipt is Receipt.DELIVERED:
            self._sent.follow(state, self._request_id)
        else:
            self._sent.receipts.acknowledge(self._request_id, self._receipt)


class PiecewiseResponse:
    """A JSON body in pieces, sent one after the other; large ones are never joined.

    Without `delivery` nobody minds whether it arrives.
    """

    def __init__(
        self, chunks: Sequence[Chunk], headers: dict[str, str], delivery: DeliveryTracker | None, status: int = 200
    ) -> None:
        self._delivery = delivery
        self.held_bytes = length = sum(map(len, chunks))
        self.is_small = length <= _JOINED_BYTES
        """Whether it leaves as a whole, in one write."""
        self._chunks = [b"".join(chunks)] if self.is_small else chunks
        self._status = status
        self._head = [*_encoded(tuple(headers.items())), (b"content-length", b"%d" % length), _JSON]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and every piece, and note whether the caller was there until the end."""
        del receive
        state, delivery = state_of(scope), self._delivery
        start: Message = {"type": "http.response.start", "status": self._status, "headers": self._head}
        if self.is_small and WITH_BODY in scope.get("extensions", ()):
            if delivery is not None:
                delivery.check_connection(state)
            start["body"] = self._chunks[0]
            await send(start)
        else:
            await self._send_pieces(state, send, start)
        if delivery is not None:
            delivery.settle_receipt(state)

    async def _send_pieces(self, state: RequestState, send: Send, start: Message) -> None:
        await send(start)
        last = len(self._chunks) - 1
        for index, chunk in enumerate(self._chunks):
            if index == last and self._delivery is not None:
                self._delivery.check_connection(state)
            await send({"type": "http.response.body", "body": chunk, "more_body": index < last})


@lru_cache(_REMEMBERED)
def _encoded(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers)


def answer_images(state: RequestState, sent: SentAnswers, answer: Answer) -> PiecewiseResponse:
    """The images of a request, under the id of the one that was carried out."""
    state.request_id = answer.request_id
    note_answer(state.facts, answer)
    delivery = DeliveryTracker(sent, answer.request_id, answer)
    return PiecewiseResponse(render_answer(answer), answer_headers(answer), delivery)


def show_images(answer: Answer) -> PiecewiseResponse:
    """The images of another's request, for an administrator: to their owner nothing is delivered by that (0118)."""
    return PiecewiseResponse(render_answer(answer), answer_headers(answer), None)


class EventResponse(Response):
    """Server-sent events. If the caller disconnects, the work behind them goes on."""

    media_type = "text/event-stream"

    def __init__(self, mode: Mode, stream: Stream, delivery: DeliveryTracker) -> None:
        self._mode, self._stream, self._delivery = mode, stream, delivery
        headers = model_headers(stream.model.id, stream.adjustments) | {"Cache-Control": "no-cache"}
        super().__init__(None, headers={**headers, "X-Accel-Buffering": "no"})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head at once, then every event when it comes."""
        del receive
        state = state_of(scope)
        if await state.unless_gone(self._send(send, state.facts)) is None:
            self._delivery.mark_lost()
            state.facts.error = "disconnected"
        self._delivery.settle_receipt(state)

    async def _send(self, send: Send, facts: RequestFacts) -> bool:
        note_choice(facts, self._stream.model, self._stream.adjustments)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        remaining = self._stream.count
        async for event in self._stream.events:
            chunks = self._render(event)
            _note(facts, event)
            if isinstance(event, Unresolved):  # its images come later, to callers that ask again
                self._delivery.mark_lost()
            remaining -= len(event.answer.result.images) if isinstance(event, Part) else 0
            for index, chunk in enumerate(chunks):
                more = remaining > 0 or index < len(chunks) - 1  # ends with the last image: nothing stays unread
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
            if remaining <= 0:
                return True
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return True

    def _render(self, event: Event | None) -> list[Chunk]:
        match event:
            case None:
                return [KEEP_ALIVE]
            case Failed():
                return [render_failed(event.error, event.spent)]
            case Unresolved():
                return [render_failed(StillProcessingError())]
        images = enumerate(event.answer.result.images, event.first_index)
        return [chunk for index, image in images for chunk in render_completed(self._mode, event.answer, image, index)]


def _note(facts: RequestFacts, event: Event | None) -> None:
    match event:
        case Part():
            add_part(facts, event.answer)
        case Failed():
            facts.error = event.error.code
        case Unresolved():
            facts.error = StillProcessingError().code


def holding(response: ASGIApp, ticket: Ticket) -> ASGIApp:
    """`response`, which holds its place in memory until it was sent."""
    if isinstance(response, PiecewiseResponse) and response.is_small:
        # As for small bodies: the number of connections bounds them, and they leave in one write.
        ticket.release()
        return response
    return HoldingResponse(response, ticket)


class HoldingResponse:
    """An answer that gives a place in memory back when it has been sent, or could not be."""

    def __init__(self, response: ASGIApp, ticket: Ticket) -> None:
        self._response, self._ticket = response, ticket
        ticket.resize(response.held_bytes if isinstance(response, PiecewiseResponse) else 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await self._response(scope, receive, send)
        finally:
            # Not earlier: a slow reader holds the answer in memory until its last byte.
            self._ticket.release()
