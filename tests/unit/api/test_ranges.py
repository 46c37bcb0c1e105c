"""Which bytes of a stored image a reader asks for, and whether it has them already."""

import pytest

from app.api.ranges import UnsatisfiableRangeError, find_range, has_already, http_date

TAG, STORED_AT, SIZE = '"4751b9d2"', 1_700_000_000.7, 100


def asked(range_: str, if_range: str | None = None) -> tuple[int, int] | None:
    headers = {"range": range_} | ({} if if_range is None else {"if-range": if_range})
    return find_range(headers, SIZE, TAG, STORED_AT)


@pytest.mark.parametrize(
    ("range_", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=10-19", (10, 20)),
        ("bytes=10-", (10, 100)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-500", (0, 100)),
        ("Bytes= 5-6 ", (5, 7)),
    ],
)
def test_a_range_names_its_bytes(range_, part):
    assert asked(range_) == part


@pytest.mark.parametrize("range_", ["bytes=100-", "bytes=100-200", "bytes=-0", f"bytes={10**17}-"])
def test_a_range_without_any_byte_is_refused(range_):
    with pytest.raises(UnsatisfiableRangeError):
        asked(range_)


@pytest.mark.parametrize(
    "range_",
    [
        "",
        "bytes=-",
        "bytes=5",
        "bytes=9-5",
        "bytes=1-2,4-5",
        "items=1-2",
        "bytes=a-b",
        "bytes=\u0663-\u0665",
        f"bytes={10**30}-",
    ],
)
def test_what_is_no_single_range_means_all_bytes(range_):
    assert asked(range_) is None


@pytest.mark.parametrize(
    ("known", "is_part"),
    [
        pytest.param(TAG, True, id="these bytes"),
        pytest.param(http_date(STORED_AT), True, id="stored at that time"),
        pytest.param('"another"', False, id="other bytes"),
        pytest.param(f"W/{TAG}", False, id="only much like them"),
        pytest.param(http_date(STORED_AT + 1), False, id="another time"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_a_part_is_only_given_of_the_bytes_that_the_reader_has(known, is_part):
    assert asked("bytes=0-9", known) == ((0, 10) if is_part else None)


@pytest.mark.parametrize(
    ("known", "is_there"),
    [(TAG, True), (f"W/{TAG}", True), (f'"a", {TAG} ,"b"', True), ("*", True), ('"a"', False), ("", False), (TAG[1:-1], False)],
)  # fmt: skip
def test_a_reader_has_what_it_names(known, is_there):
    assert has_already({"if-none-match": known}, TAG) is is_there


def test_who_names_nothing_has_nothing():
    assert not has_already({}, TAG)
