"""What the end of an answer's sending means for its request: delivered, lost, or to be asked for later."""

import asyncio

from app.api.context import Images
from app.domain.answer import Answer
from app.journal.records import Receipt
from app.server.delivery import DeliveryTracker
from app.server.protocol import DeliveryListener

_SILENCE_SECONDS = 5.0
"""A connection that was not reset for so long carried the whole answer."""


def track_delivery(
    images: Images, request_id: str, answer: Answer | None = None, receipt: Receipt = Receipt.DELIVERED
) -> DeliveryTracker:
    """The tracker of one answer; `answer` is kept where the caller did not get it, `receipt` is what a good end means.

    An answer with images counts as delivered once the connection goes on or ends in peace, or stays silent for a
    while: a caller that closes without having read it resets the connection.
    """
    return DeliveryTracker(_RequestReceipt(images, request_id, answer, receipt))


class _RequestReceipt:
    def __init__(self, images: Images, request_id: str, answer: Answer | None, receipt: Receipt) -> None:
        self._images, self._request_id, self._answer, self._receipt = images, request_id, answer, receipt

    def lost(self) -> None:
        self._images.leave(self._request_id, Receipt.BROKEN, self._answer)

    def sent(self) -> DeliveryListener | None:
        if self._receipt is Receipt.DELIVERED:
            return _SentAnswer(self._images, self._request_id)
        self._images.leave(self._request_id, self._receipt)
        return None


class _SentAnswer:
    """What becomes of an answer that was sent; it does not hold the answer, which may be large."""

    def __init__(self, images: Images, request_id: str) -> None:
        self._images, self._request_id = images, request_id
        self._noted = False
        # Keep-alive connections may stay silent for an hour; the request cannot stay open as long (0052).
        self._timer = asyncio.get_running_loop().call_later(_SILENCE_SECONDS, self.arrived)

    def arrived(self) -> None:
        """The caller has it."""
        if not self._noted:
            self._noted = True
            self._timer.cancel()
            self._images.leave(self._request_id, Receipt.DELIVERED)

    def lost(self) -> None:
        """The caller does not have it, even where silence was taken for a good sign."""
        if not self._noted:
            self._noted = True
            self._timer.cancel()
            self._images.leave(self._request_id, Receipt.BROKEN)
        # Also after "delivered" was noted: the reset proves the opposite, and the retry must find its image (0052).
        self._images.retract(self._request_id)
