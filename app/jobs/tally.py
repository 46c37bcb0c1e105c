"""What is counted of claims and answers, in the words of metrics."""

from app.domain.answer import Answer
from app.journal.records import Record
from app.observability.metrics import Metrics


class Tally:
    """Tells `metrics` what claims led to, and what came of the work."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def count_joined(self, record: Record, *, has_key: bool) -> None:
        """A request led to an earlier one."""
        if not has_key:
            self.metrics.adopted()
        elif record.status.final:
            self.metrics.replayed()
        else:
            self.metrics.joined()

    def count_answer(self, answer: Answer) -> None:
        """An answer is written down."""
        pixels = 0
        for image in answer.result.images:
            if image.size is not None:
                width, height = image.size
                pixels += width * height
        self.metrics.pixels_made(answer.model.air, pixels)
        for adjustment in answer.result.adjustments:
            self.metrics.adjusted(adjustment.mode.value)
