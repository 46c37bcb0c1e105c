"""Answers that were sent and whose callers are listened for: read, lost, or silent for so long that they were read.

Leaves to the connection what happened, and to the receipts what it means.
"""

import asyncio
from collections import deque
from typing import NamedTuple

from app.jobs.receipts import DeliveryReceipts
from app.journal.records import Receipt
from app.server.delivery import RequestState

_SILENCE_SECONDS = 5.0
"""A connection that was not reset for so long carried the whole answer."""


class SentAnswers:
    """Those of one group of routes. One timer for all: each answer is given as long, so that they fall due in order.

    `silence` is how long, in seconds.
    """

    def __init__(self, receipts: DeliveryReceipts, silence: float = _SILENCE_SECONDS) -> None:
        self.receipts, self._silence = receipts, silence
        self._silent: deque[_Silent] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def follow(self, state: RequestState, request_id: str) -> None:
        """Note what becomes of the answer that was just sent."""
        sent = _SentAnswer(self.receipts, request_id)
        state.listen(sent)
        # Keep-alive connections may stay silent for an hour; the request cannot stay open as long (0052).
        loop = asyncio.get_running_loop()
        self._silent.append(_Silent(loop.time() + self._silence, sent))
        if self._timer is None:
            self._timer = loop.call_later(self._silence, self._look)

    def _look(self) -> None:
        loop, silent = asyncio.get_running_loop(), self._silent
        now = loop.time()
        while silent and (silent[0].sent.is_noted or silent[0].until <= now):
            silent.popleft().sent.arrived()
        self._timer = loop.call_later(silent[0].until - now, self._look) if silent else None


class _SentAnswer:
    """What becomes of an answer that was sent; it does not hold the answer, which may be large."""

    __slots__ = ("_receipts", "_request_id", "is_noted")

    def __init__(self, receipts: DeliveryReceipts, request_id: str) -> None:
        self._receipts, self._request_id = receipts, request_id
        self.is_noted = False

    def arrived(self) -> None:
        """The caller has it."""
        if not self.is_noted:
            self.is_noted = True
            self._receipts.acknowledge(self._request_id, Receipt.DELIVERED)

    def lost(self) -> None:
        """The caller does not have it, even where silence was taken for a good sign."""
        if not self.is_noted:
            self.is_noted = True
            self._receipts.acknowledge(self._request_id, Receipt.LOST)
        # Also after "delivered" was noted: the reset proves the opposite, and the retry must find its image (0052).
        self._receipts.retract(self._request_id)


class _Silent(NamedTuple):
    """When an answer counts as read, if nothing was heard of it by then."""

    until: float
    sent: _SentAnswer
