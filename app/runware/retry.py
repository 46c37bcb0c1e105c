"""When a task is sent again. Pure: time and chance are passed in.

Every repetition carries the same taskUUID, so a copy that was accepted unseen answers `conflictTaskUUID` and is
collected, never bought twice.
"""

from dataclasses import dataclass

from app.runware.failures import ProviderFailure


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a task is sent or asked for again; all times in seconds."""

    attempts: int = 3
    first_backoff: float = 0.5
    longest_backoff: float = 8.0
    longest_retry_after: float = 10.0
    first_poll: float = 1.0
    longest_poll: float = 5.0
    poll_growth: float = 1.5
    slow_poll: float = 60.0
    slow_after: int = 120
    """After so many questions they come slowly: whatever it is takes long."""
    empty_polls: int = 3
    """Answers that know nothing of a task before it is sent once more."""
    longest_work: float = 1800.0
    """How long the sender of a task waits for it; then the search for abandoned requests goes on."""
    longest_search: float = 86_400.0
    """How long these look for it, from the request on."""
    first_bill: float = 120.0
    """After the end of a request whose cost is unknown, until Runware is asked for it again."""
    looks_for_bills: float = 5.0
    """How often it is looked for such requests."""


def backoff(policy: RetryPolicy, failure: ProviderFailure, attempt: int, chance: float) -> float | None:
    """Seconds to wait before the next attempt, or None when there is none.

    `attempt` counts from 1; `chance` is in [0, 1): full jitter. A Retry-After is obeyed up to a limit, beyond which
    the caller is better served by the error.
    """
    # Only what may pass by itself is repeated: anything else would fail again.
    if attempt >= policy.attempts or not failure.retryable:
        return None
    if failure.retry_after is not None:
        return failure.retry_after if failure.retry_after <= policy.longest_retry_after else None
    # Full jitter: many gateways that lost the same connection do not come back in the same moment.
    return chance * min(policy.longest_backoff, policy.first_backoff * 2.0 ** (attempt - 1))


def poll_delay(policy: RetryPolicy, poll: int) -> float:
    """Seconds before the `poll`-th question after a task, counted from 1."""
    if poll > policy.slow_after:
        return policy.slow_poll
    return min(policy.longest_poll, policy.first_poll * policy.poll_growth ** (poll - 1))
