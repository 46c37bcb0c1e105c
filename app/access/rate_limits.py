"""How fast a key may go: token buckets of requests and images. Pure; times are unix seconds.

A bucket starts full and holds one minute's worth. Where the buckets lie, and who else takes from them, is `budgets`'.
"""

import math

from msgspec import Struct

from app.domain.caller import Limits
from app.errors import RateLimitedError

_MINUTE = 60.0
_ROUNDING = 1e-6
"""Of a token: what fractions of seconds add up to must not cost a caller that waited as it was told."""


class Tokens(Struct, frozen=True):
    """What is left in the buckets at a moment; None where there is no bucket, or none was taken from yet."""

    requests: float | None = None
    images: float | None = None
    at: float = 0.0


FULL = Tokens()
"""Those of a key that was never used."""


class Bucket(Struct, frozen=True):
    """One bucket at one moment, as it is shown."""

    limit: int
    tokens: float

    @property
    def remaining(self) -> int:
        """Whole tokens that are left."""
        return math.floor(self.tokens + _ROUNDING)

    def seconds_until(self, count: float) -> float:
        """How long until so many tokens are there."""
        return max(count - self.tokens, 0.0) * _MINUTE / max(self.limit, 1)

    @property
    def reset(self) -> float:
        """Seconds until it is full."""
        return self.seconds_until(self.limit)


def refill(tokens: Tokens, limits: Limits, now: float) -> Tokens:
    """The buckets at `now`, by the limits that hold now."""
    # Not back in time: replicas whose clocks differ would fill the same seconds in twice. A moment further ahead than
    # buckets reach is a clock that was wrong, and would otherwise keep the key waiting until it comes (0121).
    moment = now if tokens.at > now + _MINUTE else max(tokens.at, now)
    passed = min(max(moment - tokens.at, 0.0), _MINUTE)
    return Tokens(
        _refill(tokens.requests, limits.rpm, passed), _refill(tokens.images, limits.images_per_minute, passed), moment
    )


def take(tokens: Tokens, limits: Limits, images: int) -> Tokens:
    """The buckets after one request of so many images, raising RateLimitedError where they do not hold as much.

    They must be those of this moment (`refill`).
    """
    requests, per_image = request_bucket(tokens, limits), image_bucket(tokens, limits)
    if requests is not None:
        _check("requests", requests, 1)
    if per_image is not None:
        _check("images", per_image, images)
    return Tokens(_less(tokens.requests, 1), _less(tokens.images, images), tokens.at)


def request_bucket(tokens: Tokens, limits: Limits) -> Bucket | None:
    """That of requests, None where they have no limit."""
    return None if limits.rpm is None else Bucket(limits.rpm, _or_full(tokens.requests, limits.rpm))


def image_bucket(tokens: Tokens, limits: Limits) -> Bucket | None:
    """That of images, None where they have no limit."""
    limit = limits.images_per_minute
    return None if limit is None else Bucket(limit, _or_full(tokens.images, limit))


def _check(noun: str, bucket: Bucket, count: int) -> None:
    if count <= bucket.limit and bucket.tokens + _ROUNDING >= count:
        return
    limit = f"This API key may make {bucket.limit} {noun} a minute"
    if count > bucket.limit:
        # Waiting never helps: the bucket holds a minute's worth.
        raise RateLimitedError(
            f"{limit}, and this request asks for {count}. Ask for fewer.", param="n", should_retry=False
        )
    seconds = math.ceil(bucket.seconds_until(count) - _ROUNDING)
    message = f"{limit}; {bucket.remaining} are left for now. Nothing was sent; try again in {max(seconds, 1)} s."
    raise RateLimitedError(message, retry_after=seconds, should_retry=True)


def _refill(tokens: float | None, limit: int | None, passed: float) -> float | None:
    if limit is None:
        return None
    return min(_or_full(tokens, limit) + passed * limit / _MINUTE, float(limit))


def _or_full(tokens: float | None, limit: int) -> float:
    return float(limit) if tokens is None else max(tokens, 0.0)


def _less(tokens: float | None, count: int) -> float | None:
    return None if tokens is None else max(tokens - count, 0.0)
