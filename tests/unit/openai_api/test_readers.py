"""Sizes in everyday dialect."""

import pytest

from app.catalog.modes import Mode
from app.errors import InvalidRequestError
from app.openai_api.parse import parse_request
from app.openai_api.readers import read_size

K = 1024 * 1024


@pytest.mark.parametrize(
    ("fields", "exact", "ratio", "area"),
    [
        ({"size": "2K"}, None, None, 4 * K),
        ({"size": "2k", "aspect_ratio": "16:9"}, None, 16 / 9, 4 * K),
        ({"size": "1MP"}, None, None, K),
        ({"size": "512"}, None, None, 512**2),
        ({"size": 1024}, None, None, K),
        ({"resolution": "0.25"}, None, None, K // 4),
        ({"resolution": 0.25}, None, None, K // 4),
        ({"resolution": "1"}, None, None, K),
        ({"resolution": 4}, None, None, 4 * K),
        ({"resolution": "2048"}, None, None, 2048**2),
        ({"resolution": 2048}, None, None, 2048**2),
        ({"resolution": "512px"}, None, None, 512**2),
        ({"resolution": "512 PX"}, None, None, 512**2),
        ({"resolution": "1mp", "aspect_ratio": "1:2"}, None, 0.5, K),
        ({"size": "16:9", "resolution": "2K"}, None, 16 / 9, 4 * K),
        ({"size": "640x480"}, (640, 480), None, None),
        ({"size": "auto", "resolution": "auto"}, None, None, None),
    ],
    ids=str,
)
def test_sizes_are_read_as_people_write_them(fields, exact, ratio, area):
    size = read_size(fields)
    assert (size.exact, size.ratio, size.area) == (exact, ratio, area)


@pytest.mark.parametrize(
    ("fields", "ignored"),
    [
        ({"size": "2K", "resolution": "1K"}, [("resolution", "1K")]),
        (
            {"size": "640x480", "resolution": "1K", "aspect_ratio": "1:1"},
            [("aspect_ratio", "1:1"), ("resolution", "1K")],
        ),
        ({"size": "1:1", "aspect_ratio": "2:1"}, [("aspect_ratio", "2:1")]),
        ({"size": "2K", "aspect_ratio": "2:1"}, []),
    ],
    ids=str,
)
def test_size_wins_in_what_it_says(fields, ignored):
    assert list(read_size(fields).ignored) == ignored


@pytest.mark.parametrize(
    ("field", "value"),
    [("size", "big"), ("size", "0K"), ("size", "2KK"), ("size", True), ("size", [1, 2]), ("size", "1x"), ("resolution", "px"), ("resolution", "0"),
     ("resolution", "20000px"), ("resolution", "50px"), ("resolution", -1), ("resolution", "1e9"), ("resolution", "999999999999")],
)  # fmt: skip
def test_a_size_that_means_nothing_is_refused_by_field(field, value):
    with pytest.raises(InvalidRequestError) as caught:
        read_size({field: value})
    assert caught.value.param == field


@pytest.mark.parametrize("seed", [-1, "-1", -1.0])
def test_minus_one_is_no_seed(seed):
    assert parse_request(Mode.GENERATE, {"prompt": "a", "seed": seed}).seed is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(60, 60), ("60", 60), ("90s", 90), (90.0, 90), ("1.5m", 90), (" 12 H ", 43_200), ("7d", 604_800), ("366d", 366 * 86_400), (None, None), ("", None)],
)  # fmt: skip
def test_a_duration_is_seconds_or_has_a_unit(value, seconds):
    assert parse_request(Mode.GENERATE, {"prompt": "a", "ttl": value}).ttl == seconds


@pytest.mark.parametrize(
    "value",
    [59, "59s", 60.5, "1.001m", "367d", 10**12, -60, "-1h", "soon", "1w", "1h 5m", True, [60], {"s": 60}, float("inf"), float("nan")],
    ids=str,
)  # fmt: skip
def test_what_is_no_duration_or_out_of_bounds_is_refused(value):
    with pytest.raises(
        InvalidRequestError, match=r"`ttl`: expected seconds, or a duration like .*from 60 to"
    ) as caught:
        parse_request(Mode.GENERATE, {"prompt": "a", "ttl": value})
    assert caught.value.param == "ttl"
