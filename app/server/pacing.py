"""How long a connection may take for what, how it is refused, and how it ends.

Owns the times of one connection. What is read on it is `connection`'s affair, what all share `connections`'.
"""

import asyncio
from enum import Enum

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from app.errors import GatewayError, RequestTimeoutError
from app.server.answering import AnswerCycle
from app.server.connections import process_state_of
from app.server.middleware import RequestIds
from app.server.protocol import DeliveryTrackingProtocol
from app.server.rates import RateWatch


class Reading(Enum):
    """How far the next request of a connection is."""

    NOTHING = "it has not begun"
    HEAD = "its head is not whole yet"
    BODY = "its body is not whole yet"


class HeldFlow(FlowControl):
    """Reads no further while `held`, whatever asks for it."""

    held = False
    pauses = 0
    """How often reading stopped so far."""

    def pause_reading(self) -> None:
        """Read no further for now."""
        self.pauses += not self.read_paused
        super().pause_reading()

    def resume_reading(self) -> None:
        """Read on, unless held: uvicorn resumes after each answer, also while requests sent ahead must wait."""
        if not self.held:
            super().resume_reading()


class PacedProtocol(DeliveryTrackingProtocol):
    """A connection that ends when its caller takes too long.

    A caller has as long for the first byte as between two requests, some seconds for a head, and a least rate for a
    body and for reading an answer: a caller that holds a connection without using it keeps it from others.
    """

    flow: HeldFlow
    reading = Reading.NOTHING
    unclear = 0
    """Bytes that came since anything was understood."""
    refused = False
    _site: str | None = None
    _is_idle = _is_quiet = _was_paused = _times_body = False
    _quiet_since = 0.0
    _quiet_timer: asyncio.TimerHandle | None = None
    _body_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None
    _head_pauses = 0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.shared = process_state_of(app_state).connections
        self._keep_alive = config.timeout_keep_alive
        rate = (self.shared.limits.window_seconds, self.shared.limits.bytes_per_second)
        self._body_watch = RateWatch(*rate, self._count_body, self._end_slow_body)
        self._answer_watch = RateWatch(*rate, self._count_answer, self._end_unread)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A caller is there."""
        super().connection_made(transport)
        self.flow = HeldFlow(transport)
        self._site = self.shared.site_of(self.client[0] if self.client else None)
        error = self.shared.add_connection(self._site, transport.get_extra_info("socket").fileno())
        if error is None:
            self.update()
        else:
            self.refuse(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection."""
        self.shared.remove_connection(self, self._site)
        self._stop_timers()
        # The collector comes seldom (`main`): what it alone can free, with all that hangs on it, piles up until then.
        self._body_watch.end()
        self._answer_watch.end()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """An answer was written, whether or not it is read: what was sent ahead has its turn."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            # The server closes after this answer but waits for it to be read: without a watch, forever.
            if self.transport.get_write_buffer_size():
                self._answer_watch.start()
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            self.start(self.pipeline.pop())
        self.update()

    def pause_writing(self) -> None:
        """The caller reads more slowly than it is answered."""
        super().pause_writing()
        # Only now: a caller is judged by what it does not take, never by how long an answer is made.
        self._answer_watch.start()

    def resume_writing(self) -> None:
        """The caller reads again, so it is not judged any more."""
        self._answer_watch.stop()
        super().resume_writing()

    def end_idle(self) -> None:
        """End a connection on which nothing goes on; with bytes still unread it counts as a loss."""
        if self.transport.get_write_buffer_size():
            self._end_unread()
        else:
            self.note_unread()
            self.transport.close()

    def update(self) -> None:
        """See to it that each time is running that should be, and no other."""
        if self.refused or self.transport.is_closing():
            return
        reading = self.reading
        # Also bytes before any head count: blank lines would hold a connection forever.
        begun = reading is Reading.HEAD or (reading is Reading.NOTHING and self.unclear > 0)
        if begun and self._head_timer is None:
            self._time_head()
        elif not begun and self._head_timer is not None:
            self._stop_head_timer()
        if (reading is Reading.BODY) is not self._times_body:
            self._time_body()
        idle = not self.is_answering and reading is not Reading.BODY
        # Known apart from busy ones, so that room is made at the cost of nobody's request (0010).
        if idle is not self._is_idle:
            self._is_idle = idle
            self.shared.mark_idle(self, idle=idle)
        if idle and not begun:
            if not self._is_quiet:
                self._await_request()
        else:
            self._is_quiet = False

    @property
    def is_kept_alive(self) -> bool:
        """Whether it was answered, and nothing has come since."""
        return (
            self.running is not None and not self.is_answering and self.reading is Reading.NOTHING and not self.unclear
        )

    @property
    def is_answering(self) -> bool:
        """Whether any answer is still to be given."""
        return bool(self.pipeline) or (self.running is not None and not self.running.response_complete)

    def refuse(self, error: GatewayError) -> None:
        """Read nothing more; end the connection once what was asked for before is answered."""
        if self.refused or self.transport.is_closing():
            return
        self.refused = True
        self._stop_timers()
        self._body_watch.stop()
        broken = self.cycle if self.reading is Reading.BODY else None
        if broken is not None and broken is self.running:
            self._give_up(broken, error)
        elif self.is_answering:
            self._end_after_answers(broken)
        else:
            self._answer(error)

    def _give_up(self, broken: AnswerCycle, error: GatewayError) -> None:
        """The request being answered will never be whole."""
        begun = broken.response_started
        broken.disconnect()
        if begun:
            self.transport.close()
        else:
            self._answer(error)

    def _end_after_answers(self, broken: AnswerCycle | None) -> None:
        if broken is not None:
            # It will never be whole, so its application is not started.
            self.pipeline.popleft()  # the newest: nothing was read after it
        last = self.pipeline[0] if self.pipeline else self.running
        if last is not None:
            last.keep_alive = False

    def _answer(self, error: GatewayError) -> None:
        """Answer by hand and end: no application was started for what cannot be read."""
        body = self.shared.render_error(error)
        own = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
        own["x-request-id"] = RequestIds()()
        if error.retry_after is not None:
            own["retry-after"] = str(error.retry_after)
        head = "".join(f"{name}: {value}\r\n" for name, value in own.items())
        self.transport.write(STATUS_LINE[error.status] + head.encode() + b"\r\n" + body)
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._answer_watch.start()

    def _await_request(self) -> None:
        self._is_quiet, self._quiet_since = True, self.loop.time()
        # One timer for as many requests as come within its time: it looks when it is over how long the last was ago.
        if self._quiet_timer is None:
            self._quiet_timer = self.loop.call_later(self._keep_alive, self._end_quiet)

    def _end_quiet(self) -> None:
        self._quiet_timer = None
        if not self._is_quiet:
            return
        left = self._quiet_since + self._keep_alive - self.loop.time()
        if left > 0:
            self._quiet_timer = self.loop.call_later(left, self._end_quiet)
        elif not self.transport.is_closing():
            self.end_idle()

    def _time_body(self) -> None:
        self._times_body = not self._times_body
        if self._times_body:
            self._body_watch.start()
        else:
            self._body_watch.stop()

    def _time_head(self) -> None:
        self._head_pauses = self.flow.pauses
        self._head_timer = self.loop.call_later(self.shared.limits.head_seconds, self._end_slow_head)

    def _end_slow_head(self) -> None:
        self._head_timer = None
        # Requests sent ahead wait unread for the answers before them: so long it is not the caller who is slow (0010).
        if self.flow.read_paused or self.flow.pauses != self._head_pauses:
            self._time_head()
            return
        self.refuse(RequestTimeoutError("The head of the request did not come in time."))

    def _end_slow_body(self) -> None:
        self.refuse(RequestTimeoutError("The body of the request comes too slowly."))

    def _end_unread(self) -> None:
        """End the connection of a caller that does not read; its answer counts as lost."""
        # An abort leaves unread bytes behind, so the answer counts as lost and a retry finds it (0052).
        self._unread = True
        self.transport.abort()

    def _count_body(self) -> int | None:
        """None while it is we who do not read: a queue, or a caller that waits for 100 Continue."""
        held, self._was_paused = self._was_paused or self.flow.read_paused, self.flow.read_paused
        waits = self.cycle is not None and self.cycle.waiting_for_100_continue
        return None if held or waits else self._body_bytes

    def _count_answer(self) -> int | None:
        return -self.transport.get_write_buffer_size()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_timers(self) -> None:
        self._stop_head_timer()
        if self._quiet_timer is not None:
            self._quiet_timer.cancel()
            self._quiet_timer = None
