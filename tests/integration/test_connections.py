"""How long connections live, how old callers are answered, and how bodies may be compressed."""

import time

import pytest

from tests.support.raw import RawConnection, head

MODELS = head("/v1/models/riverflow-1", method="GET")


@pytest.fixture(scope="module")
def brief(start_shared_gateway):
    """A gateway whose idle connections end after a second."""
    return start_shared_gateway(SPILLWAY_KEEP_ALIVE="1")


def test_a_connection_outlives_the_pools_and_balancers_before_it(gateway):
    """Python's and Node's pools keep theirs for 5 seconds."""
    with RawConnection(gateway.origin) as connection:
        connection.send(MODELS)
        assert connection.answer().status == 200
        time.sleep(6.5)
        connection.send(MODELS)
        assert connection.answer().status == 200


def test_an_idle_connection_ends_when_the_operator_says(brief):
    with RawConnection(brief.origin) as connection:
        for _ in range(2):
            connection.send(MODELS)
            assert connection.answer().status == 200
        waited = connection.ends_within(20)
        assert waited is not None
        assert waited >= 0.8
