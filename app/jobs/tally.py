"""What is counted of claims and answers, in the words of metrics."""

import math

from app.domain.answer import Answer
from app.journal.records import Record
from app.observability.metrics import Metrics
from app.planning.prepared import Prepared


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

    def count_answer(self, work: Prepared | Record, answer: Answer) -> None:
        """An answer is written down."""
        # Once: what was embedded and not kept is fetched a second time, and was counted when it was made (0053).
        if isinstance(work, Record) and work.images_kept is not None:
            return
        sizes = (image.size for image in answer.result.images if image.size is not None)
        self.metrics.pixels_made(answer.model.air, sum(math.prod(size) for size in sizes))
        for adjustment in answer.result.adjustments:
            self.metrics.adjusted(adjustment.mode.value)
