"""What the state of a request means, and what to do."""

import re

import pytest

from app.cli.doctor import ADVICE, advise
from tests.support.commands import ROOT

ENDED = {"id": "req_1", "status": "completed", "delivered": True, "cost": 0.1, "error": None, "webhook": None}
FAILED = {"status": "failed", "cost": 0.0, "delivered": False}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        pytest.param({"status": "queued"}, ["It is being made.*spillway requests req_1 --follow"], id="waiting"),
        pytest.param({}, ["delivered.*spillway collect req_1"], id="delivered"),
        pytest.param({"delivered": False}, ["Nobody has taken.*spillway collect req_1"], id="not taken"),
        pytest.param({"cost": None}, ["spillway collect", "has not said all of what it cost"], id="open bill"),
        pytest.param({"status": "partial"}, ["Some images failed", "spillway collect"], id="partial"),
        pytest.param(
            {"webhook": {"state": "failed"}}, ["spillway collect", "webhook was not accepted"], id="webhook refused"
        ),
        pytest.param(FAILED | {"error": {"code": "insufficient_quota"}}, ["Add credit"], id="no credit"),
        pytest.param(FAILED | {"error": {"code": "brand_new"}}, ["The message says why"], id="an unknown error"),
    ],
)
def test_each_state_has_its_advice(record, said):
    advice = [*advise(ENDED | record)]
    assert len(advice) == len(said)
    assert all(re.search(one, str(line)) for one, line in zip(said, advice, strict=True))


def test_there_is_advice_only_for_codes_that_there_are():
    documented = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "errors.md").read_text()))
    assert set(ADVICE) <= documented
