"""What the ledger must hold for a request, and the kind of entry that takes it there."""

import pytest

from app.ledger.standing import NOTHING, EntryKind, Money, Standing, kind_of, standing_of

RESERVED, SPENT, GUESSED = Standing(reserved=30), Standing(spent=13), Standing(spent=30, is_estimated=True)
FREE_GUESS = Standing(is_estimated=True)


def running(reserve: int, cost: int | None, known_cost: int | None) -> Money:
    return Money(is_final=False, reserve=reserve, cost=cost, known_cost=known_cost)


def ended(reserve: int, cost: int | None, known_cost: int | None) -> Money:
    return Money(is_final=True, reserve=reserve, cost=cost, known_cost=known_cost)


@pytest.mark.parametrize(
    ("money", "before", "after"),
    [
        pytest.param(running(30, None, None), NOTHING, RESERVED, id="it runs"),
        pytest.param(ended(30, 13, None), RESERVED, SPENT, id="its cost is known"),
        pytest.param(ended(30, 0, None), RESERVED, NOTHING, id="it cost nothing"),
        pytest.param(ended(30, None, None), RESERVED, GUESSED, id="nothing is known: what was reserved stands"),
        pytest.param(ended(30, None, 12), RESERVED, GUESSED, id="less is known"),
        pytest.param(ended(30, None, 45), RESERVED, Standing(spent=45, is_estimated=True), id="more is known"),
        pytest.param(ended(0, None, None), NOTHING, FREE_GUESS, id="nothing was reserved, and nothing is known"),
        pytest.param(ended(30, 13, None), GUESSED, SPENT, id="the bill came late"),
        pytest.param(running(30, 13, None), SPENT, SPENT, id="opened again: what was paid stays paid"),
        pytest.param(running(30, None, None), GUESSED, GUESSED, id="opened again while its cost is a guess"),
        pytest.param(running(0, None, None), FREE_GUESS, FREE_GUESS, id="opened again, guessed to be free"),
        pytest.param(None, RESERVED, NOTHING, id="taken back"),
    ],
)
def test_what_must_be_held(money, before, after):
    assert standing_of(money, before) == after


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        pytest.param(NOTHING, NOTHING, None, id="nothing changes"),
        pytest.param(SPENT, SPENT, None, id="nothing changes once it ended"),
        pytest.param(NOTHING, RESERVED, EntryKind.RESERVE, id="accepted"),
        pytest.param(RESERVED, SPENT, EntryKind.SETTLE, id="ended"),
        pytest.param(NOTHING, SPENT, EntryKind.SETTLE, id="ended with nothing reserved"),
        pytest.param(NOTHING, FREE_GUESS, EntryKind.SETTLE, id="ended with nothing reserved and nothing known"),
        pytest.param(RESERVED, GUESSED, EntryKind.SETTLE, id="ended with a guess"),
        pytest.param(RESERVED, NOTHING, EntryKind.RELEASE, id="ended for free, or taken back"),
        pytest.param(GUESSED, SPENT, EntryKind.ADJUST, id="the bill came"),
        pytest.param(GUESSED, Standing(spent=30), EntryKind.ADJUST, id="the bill is what was guessed"),
        pytest.param(GUESSED, NOTHING, EntryKind.ADJUST, id="the bill says it was free"),
        pytest.param(FREE_GUESS, SPENT, EntryKind.ADJUST, id="the bill came, of what was guessed to be free"),
    ],
)
def test_the_kind_of_an_entry(before, after, kind):
    assert kind_of(before, after) is kind
