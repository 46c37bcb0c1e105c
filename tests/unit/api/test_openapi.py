"""What /openapi.json says of answers, compared with what they have."""

from decimal import Decimal

from app.access.account import Account
from app.api.openapi import describe_images
from app.domain.caller import Limits
from app.openai_api.limit_headers import limit_headers


def test_what_answers_say_of_the_limits_of_a_key_is_documented():
    limits = Limits(budget=Decimal(1), rpm=60, images_per_minute=60)
    sent = {name.decode() for name, _ in limit_headers(Account("key_a", "team", limits, 10**9, 0, 0, 0))}
    assert len(sent) == 7
    assert sent <= {name.lower() for name in describe_images()[200]["headers"]}
