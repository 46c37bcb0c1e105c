"""Shorter times than production's, for gateways of tests."""

from app.egress.download import DownloadPolicy
from app.resources import Parts
from app.runware.retry import RetryPolicy

BRIEF = DownloadPolicy(first_wait=0.02, longest_wait=0.05, absent=0.5, unreachable=1.0)
FAST = RetryPolicy(
    first_bill=0.2,
    looks_for_bills=0.2,
    first_backoff=0.02,
    longest_backoff=0.05,
    first_poll=0.05,
    longest_poll=0.1,
    longest_retry_after=0.2,
)
QUICK_PARTS = Parts(retries=FAST, downloads=BRIEF)
"""What tests put in the place of production's times; everything else is production's."""
