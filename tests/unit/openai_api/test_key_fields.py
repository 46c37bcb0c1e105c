"""What may be asked of a key, field by field."""

from decimal import Decimal

import pytest

from app.domain.caller import Limits, Period
from app.domain.key_records import AuditPage, KeyDraft, KeyPage, KeyStatus
from app.errors import InvalidRequestError
from app.openai_api.key_fields import KeyFields, read_audit_page, read_grace, read_key_page

NOW = 1_000_000.0
NOTHING = KeyDraft()
LIMITED = KeyDraft(
    "ci",
    is_admin=True,
    expires_at=NOW + 9,
    limits=Limits(Decimal(20), Period.DAY, 60, 120, 8, ("flux*",), forbid_unpriced=True, media_ttl=60, result_ttl=90),
    defaults={"model": "flux.1-schnell"},
    webhook_url="https://a.example/",
)


def applied(draft: KeyDraft = NOTHING, **fields: object) -> KeyDraft:
    return KeyFields(fields, NOW).apply(draft)


@pytest.mark.parametrize(
    ("fields", "place", "value"),
    [
        ({"name": "  CI of team ä "}, "name", "CI of team ä"),
        ({"admin": "true"}, "is_admin", True),
        ({"expires_at": "90d"}, "expires_at", NOW + 7_776_000),
        ({"expires_at": "30s"}, "expires_at", NOW + 30),
        ({"expires_at": 2_000_000}, "expires_at", 2_000_000),
        ({"expires_at": "2000000.5"}, "expires_at", 2_000_000.5),
        ({"expires_at": "1970-01-13"}, "expires_at", 1_036_800),
        ({"expires_at": "1970-01-13T02:00:00+02:00"}, "expires_at", 1_036_800),
        ({"expires_at": "1970-01-13T00:00:00Z"}, "expires_at", 1_036_800),
        ({"webhook_url": "https://hooks.example/a?b=c"}, "webhook_url", "https://hooks.example/a?b=c"),
        ({"defaults": {"response_format": "b64_json", "n": None}}, "defaults", {"response_format": "b64_json"}),
        ({"defaults": {"model": "m", "steps": 4}}, "defaults", {"model": "m", "steps": 4}),
    ],
    ids=str,
)
def test_a_field_is_read(fields, place, value):
    assert getattr(applied(**fields), place) == value


@pytest.mark.parametrize(
    ("fields", "place", "value"),
    [
        ({"budget": 20}, "budget", Decimal(20)),
        ({"budget": 0.1}, "budget", Decimal("0.1")),
        ({"budget": "0.000000001"}, "budget", Decimal("0.000000001")),
        ({"budget": 0}, "budget", Decimal(0)),
        ({"period": "WEEK"}, "period", Period.WEEK),
        ({"rpm": "60"}, "rpm", 60),
        ({"images_per_minute": 120}, "images_per_minute", 120),
        ({"concurrency": 8}, "concurrency", 8),
        ({"models": "riverflow-*, flux.1-schnell,"}, "models", ("riverflow-*", "flux.1-schnell")),
        ({"models": ["bfl:*", "bfl:*"]}, "models", ("bfl:*",)),
        ({"forbid_unpriced": "on"}, "forbid_unpriced", True),
        ({"media_ttl": 60}, "media_ttl", 60),
        ({"media_ttl": "2h"}, "media_ttl", 7200),
        ({"result_ttl": "7d"}, "result_ttl", 604_800),
        ({"result_ttl": ""}, "result_ttl", None),
    ],
    ids=str,
)
def test_a_limit_is_read(fields, place, value):
    assert getattr(applied(**fields).limits, place) == value


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("name", "a/b"),
        ("name", "key_abc"),
        ("name", "n" * 101),
        ("name", "a\nb"),
        ("name", 7),
        ("name", ""),
        ("budget", -1),
        ("budget", "NaN"),
        ("budget", "Infinity"),
        ("budget", "1e30"),
        ("budget", "0.0000000001"),
        ("budget", True),
        ("budget", [1]),
        ("budget", "twenty"),
        ("period", "year"),
        ("rpm", 0),
        ("rpm", 1.5),
        ("images_per_minute", -1),
        ("concurrency", "many"),
        ("models", [1]),
        ("models", [""]),
        ("models", {"a": 1}),
        ("models", ["x" * 201]),
        ("models", ["m"] * 201),
        ("expires_at", NOW),
        ("expires_at", "1970-01-01"),
        ("expires_at", "soon"),
        ("expires_at", "40000d"),
        ("expires_at", True),
        ("expires_at", "99999-01-01"),
        ("forbid_unpriced", "perhaps"),
        ("defaults", []),
        ("defaults", {"a": "x" * 20_000}),
        ("admin", "root"),
        ("webhook_url", "ftp://a.example"),
        ("webhook_url", "https://"),
        ("webhook_url", "https://[half"),
        ("webhook_url", "https://a.example/" + "x" * 2000),
        ("media_ttl", 59),
        ("media_ttl", "soon"),
        ("result_ttl", "367d"),
        ("result_ttl", True),
        ("budgets", 5),
        ("key", "sk-spw-mine"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_anything_else_is_refused_by_its_name(param, value):
    with pytest.raises(InvalidRequestError) as caught:
        applied(**{param: value})
    assert caught.value.param == param
    assert param in caught.value.message


@pytest.mark.parametrize(
    ("defaults", "param"),
    [
        ({"response_format": "gif"}, "defaults.response_format"),
        ({"n": 0}, "defaults.n"),
        ({"prompt": "a cat"}, "defaults.prompt"),
        ({"stream": True}, "defaults.stream"),
        ({"user": "somebody"}, "defaults.user"),
    ],
    ids=str,
)
def test_a_default_that_would_spoil_every_request_is_refused(defaults, param):
    with pytest.raises(InvalidRequestError) as caught:
        applied(defaults=defaults)
    assert caught.value.param == param


def test_what_is_not_named_stays_and_null_takes_away():
    assert applied(LIMITED) == LIMITED
    cleared = dict.fromkeys(["budget", "period", "rpm", "images_per_minute", "concurrency", "models", "expires_at"])
    cleared |= dict.fromkeys(["forbid_unpriced", "defaults", "admin", "webhook_url", "media_ttl", "result_ttl"])
    assert applied(LIMITED, **cleared) == KeyDraft("ci")
    assert applied(LIMITED, name=None) == LIMITED  # a key always has one


@pytest.mark.parametrize(
    ("given", "seconds"),
    [({}, 86_400), ({"grace": "1h"}, 3600), ({"grace": 0}, 0), ({"grace": "90"}, 90), ({"grace": None}, 86_400)],
    ids=str,
)
def test_a_grace_is_read(given, seconds):
    assert read_grace(given) == seconds


@pytest.mark.parametrize("given", [{"grace": "-1s"}, {"grace": "366d"}, {"grace": True}, {"grace": "later"}], ids=str)
def test_no_other_grace_is_taken(given):
    with pytest.raises(InvalidRequestError, match="grace"):
        read_grace(given)


def test_pages_are_asked_for_with_the_words_of_other_lists():
    assert read_key_page({}) == KeyPage(20)
    asked = {"limit": "5", "starting_after": "key_a", "status": "revoked"}
    assert read_key_page(asked) == KeyPage(5, "key_a", None, KeyStatus.REVOKED)
    assert read_audit_page({"ending_before": "7", "target": "key_a"}) == AuditPage(20, before=7, target="key_a")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "101"}, "limit"),
        ({"status": "lost"}, "status"),
        ({"offset": "1"}, "offset"),
        ({"starting_after": "a", "ending_before": "b"}, "ending_before"),
    ],
    ids=str,
)
def test_no_other_question_is_asked(query, param):
    with pytest.raises(InvalidRequestError) as caught:
        read_key_page(query)
    assert caught.value.param == param


@pytest.mark.parametrize("cursor", ["key_a", "0", "99999999999999999999"])
def test_a_cursor_of_the_audit_log_is_a_number_of_it(cursor):
    with pytest.raises(InvalidRequestError, match="starting_after"):
        read_audit_page({"starting_after": cursor})
