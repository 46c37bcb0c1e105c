"""Token buckets: a minute's worth, full at the start, the same on clocks that differ."""

import pytest

from app.access.rate_limits import FULL, Tokens, image_bucket, refill, request_bucket, take
from app.domain.caller import Limits
from app.domain.values import replace
from app.errors import RateLimitedError

NOW = 1_800_000_000.0
SIXTY = Limits(rpm=60)
BOTH = Limits(rpm=60, images_per_minute=10)


def taken(limits: Limits, *asks: tuple[float, int]) -> Tokens:
    """The buckets after requests of so many images at these moments."""
    tokens = FULL
    for at, images in asks:
        tokens = take(refill(tokens, limits, NOW + at), limits, images)
    return tokens


def test_a_bucket_starts_full_and_holds_a_minutes_worth_to_the_last_one():
    tokens = refill(FULL, SIXTY, NOW)
    for _ in range(60):
        tokens = take(tokens, SIXTY, 1)
    with pytest.raises(RateLimitedError) as refused:
        take(tokens, SIXTY, 1)
    assert (refused.value.code, refused.value.retry_after) == ("rate_limit_exceeded", 1)


@pytest.mark.parametrize("rpm", [1, 3, 7, 50, 60, 1000])
def test_who_waits_as_long_as_it_was_told_is_let_in(rpm):
    limits, now = Limits(rpm=rpm), NOW
    tokens = refill(FULL, limits, now)
    for _ in range(rpm):
        tokens = take(tokens, limits, 1)
    for _ in range(20):
        with pytest.raises(RateLimitedError) as refused:
            take(refill(tokens, limits, now), limits, 1)
        now += refused.value.retry_after
        tokens = refill(tokens, limits, now)
        while request_bucket(tokens, limits).remaining:
            tokens = take(tokens, limits, 1)


def test_in_any_stretch_of_time_no_more_is_let_in_than_a_minutes_worth_and_what_flowed_in():
    limits, tokens, let_in = Limits(rpm=30), FULL, 0
    for tenth in range(3000):
        try:
            tokens = take(refill(tokens, limits, NOW + tenth / 10), limits, 1)
        except RateLimitedError:
            continue
        let_in += 1
    assert let_in == 30 + 299.9 // 2


def test_images_are_counted_beside_requests_and_neither_is_taken_where_one_is_short():
    tokens = taken(BOTH, (0, 8))
    with pytest.raises(RateLimitedError) as refused:
        take(tokens, BOTH, 4)
    assert (request_bucket(tokens, BOTH).remaining, image_bucket(tokens, BOTH).remaining) == (59, 2)
    assert refused.value.retry_after == 12
    assert image_bucket(take(tokens, BOTH, 2), BOTH).remaining == 0


def test_more_images_than_the_bucket_can_hold_are_refused_for_good():
    with pytest.raises(RateLimitedError) as refused:
        take(refill(FULL, BOTH, NOW), BOTH, 11)
    assert (refused.value.retry_after, refused.value.should_retry, refused.value.param) == (None, False, "n")


def test_a_clock_that_is_behind_fills_no_second_twice():
    tokens = taken(SIXTY, *((30.0, 1) for _ in range(60)))
    behind = refill(tokens, SIXTY, NOW + 20)
    assert (request_bucket(behind, SIXTY).remaining, behind.at) == (0, NOW + 30)
    assert request_bucket(refill(behind, SIXTY, NOW + 31), SIXTY).remaining == 1


def test_a_clock_that_was_a_day_ahead_does_not_keep_the_key_waiting_for_a_day():
    tokens = taken(SIXTY, *((86_400.0, 1) for _ in range(60)))
    corrected = refill(tokens, SIXTY, NOW)
    assert request_bucket(corrected, SIXTY).remaining == 0
    assert request_bucket(refill(corrected, SIXTY, NOW + 5), SIXTY).remaining == 5


@pytest.mark.parametrize(
    ("limits", "requests", "images"),
    [
        pytest.param(Limits(rpm=10), 10, None, id="a lower limit holds at once"),
        pytest.param(Limits(rpm=600), 50, None, id="a higher one fills from what was left"),
        pytest.param(Limits(images_per_minute=5), None, 5, id="a new one starts full"),
        pytest.param(Limits(), None, None, id="none"),
    ],
)
def test_changed_limits_hold_for_what_is_in_the_buckets(limits, requests, images):
    tokens = replace(refill(FULL, SIXTY, NOW), requests=50.0)
    now = refill(tokens, limits, NOW)
    buckets = request_bucket(now, limits), image_bucket(now, limits)
    assert tuple(None if bucket is None else bucket.remaining for bucket in buckets) == (requests, images)
