"""Durations as people write them."""

import pytest

from app.settings.durations import read_duration
from app.settings.load import InvalidSettingsError, load_settings


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("24h", 86_400),
        ("90d", 7_776_000),
        ("3600", 3600),
        ("0", 0),
        ("1.5h", 5400),
        (" 2 M ", 120),
        ("0.25", 0.25),
    ],
)
def test_a_duration_is_read(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "5w", "-5s", "1h30m", "1e3", "nan", "inf", "٣d", "5 5", "1" * 13, "1,5h"])
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="30s, 5m, 24h or 90d"):
        read_duration(text)


def test_every_setting_that_is_a_time_takes_units():
    given = {
        "SPILLWAY_SYNC_WAIT": "2m",
        "SPILLWAY_REQUEST_TIMEOUT": "10m",
        "SPILLWAY_KEEP_ALIVE": "2m",
        "SPILLWAY_GRACE": "30s",
        "SPILLWAY_MEDIA_TTL": "1d",
        "SPILLWAY_IDEMPOTENCY_TTL": "7d",
        "SPILLWAY_ADOPT_WINDOW": "5m",
    }
    settings = load_settings(given)
    assert (settings.upstream.sync_wait, settings.upstream.request_timeout) == (120, 600)
    assert (settings.server.keep_alive, settings.server.grace) == (120, 30)
    assert (settings.images.media_ttl, settings.journal.idempotency_ttl) == (86_400, 604_800)
    assert settings.journal.adopt_window == 300


def test_a_wrong_one_says_what_was_expected():
    with pytest.raises(InvalidSettingsError, match=r"SPILLWAY_MEDIA_TTL: expected seconds, or .* got '1 week'"):
        load_settings({"SPILLWAY_MEDIA_TTL": "1 week"})
    with pytest.raises(InvalidSettingsError, match="SPILLWAY_MEDIA_TTL"):
        load_settings({"SPILLWAY_MEDIA_TTL": "90.5s"})
