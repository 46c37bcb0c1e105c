"""The statements that every request runs, built once: building them anew costs more than running them."""

from sqlalchemy import (
    BindParameter,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)

from app.database.prepared import one_of
from app.database.statement import Statement
from app.database.tables import requests, tasks
from app.journal.records import Status

_TENANT: BindParameter[str] = bindparam("tenant")
_FINGERPRINT: BindParameter[str] = bindparam("fingerprint")
_EQUAL = (
    requests.c.tenant == _TENANT,
    requests.c.fingerprint == _FINGERPRINT,
    func.coalesce(requests.c.key_hash, "") == "",  # hidden from SQLite's planner, which would search by it
    # Once delivered, an equal request is a new order: a repeated prompt is how callers ask for variants (0062).
    requests.c.delivered_at.is_(None),
    # Also without a key: what is older than that counts as forgotten.
    requests.c.key_until >= bindparam("now"),
)
"""An equal request without a key that nobody got yet."""
_OPEN = tuple(literal_column(f"'{status.value}'", Text) for status in (Status.QUEUED, Status.PROCESSING))
"""In the statement itself, so that one text serves every execution, and as the index of what is open has it (0152)."""
_NONE = literal_column("0", Integer)
_EMPTY = literal_column("''", Text)
_BY_ID = requests.c.id == bindparam("request_id")
_HELD = (_BY_ID, requests.c.fence == bindparam("held_fence"))
"""What only the holder of a lease may write: one that lost it writes nothing."""
_OF_HELD = exists().where(requests.c.id == bindparam("of_request"), requests.c.fence == bindparam("held_fence"))
_UNSERVED = and_(requests.c.connected > _NONE, requests.c.delivered_at.is_(None), requests.c.error.is_(None))
"""It has an answer, and callers who are yet to get it."""

BY_KEY = select(requests).where(requests.c.tenant == _TENANT, requests.c.key_hash == bindparam("key"))
ADOPTABLE = (
    select(requests)
    # Nobody waits for it, and it was left a short while ago. `<=`: a counter that was decremented twice is still
    # nobody.
    .where(*_EQUAL, requests.c.connected <= 0, requests.c.broken_at >= bindparam("broken_since"))
    # Failures are not joined: a retry of what failed is to try again.
    .where(or_(*(requests.c.status == status for status in _OPEN), requests.c.answer.is_not(None)))
)
_IS_LEFT = and_(requests.c.connected <= _NONE, requests.c.broken_at.is_not(None))
_IS_ELSEWHERE = and_(requests.c.connected > _NONE, requests.c.owner != bindparam("own"))
UNDELIVERED = {
    dialect: select(requests.c.fingerprint, requests.c.owner, _IS_LEFT.label("is_left"))
    .where(requests.c.tenant == _TENANT, one_of(requests.c.fingerprint, "fingerprints", dialect))
    .where(requests.c.delivered_at.is_(None), or_(_IS_LEFT, _IS_ELSEWHERE))
    for dialect in ("sqlite", "postgresql")
}
"""Of which fingerprints there is something that may be adopted now, or once its process is known to have ended: for
most there is nothing."""
WAITING = select(requests).where(*_EQUAL, requests.c.error.is_(None))
"""Equal requests that may have a caller who waits, as far as anybody knows: whose `connected` is above 0."""
INSERT_REQUEST = Statement(
    insert(requests),
    "id",
    "tenant",
    "key_hash",
    "fingerprint",
    "endpoint",
    "model",
    "executed_model",
    "n",
    "status",
    "created_at",
    "key_until",
    "connected",
    "owner",
    "fence",
    "estimate",
    "reserve",
    "dropped",
    "plan",
    "user",
    "client_request_id",
    "prompt",
    "webhook_url",
    "webhook_next",
)
INSERT_TASKS = Statement(insert(tasks), "uuid", "request_id", "position")
JOIN = Statement(
    update(requests)
    .where(_BY_ID)
    .values(
        # The same call counts once: this may be the second writing of a commit in doubt (0051).
        connected=case((requests.c.joined_by == bindparam("by"), requests.c.connected), else_=requests.c.connected + 1),
        joined_by=bindparam("by"),
    ),
    "request_id",
    "by",
)
"""Writing it twice, as after a commit whose end nobody heard of, counts one caller."""
_FEWER = case((requests.c.connected > _NONE, requests.c.connected - literal_column("1", Integer)), else_=_NONE)
# The row stays, for the books; only the way to it by key ends (0058).
FORGET_KEY = update(requests).where(_BY_ID).values(key_hash=null())
# Only by the holder: otherwise a late "not started" could free a key whose task another process has found (0065).
# With an older fencing number this matches no row: a process that lost its lease cannot overwrite the end that its
# successor wrote (0059).
FREE_KEY = Statement(update(requests).where(*_HELD).values(key_hash=null()), "request_id", "held_fence")
_SETTLE = (
    update(requests)
    .where(*_HELD)
    .values(
        status=bindparam("new_status"),
        completed_at=bindparam("now"),
        answer=bindparam("new_answer"),
        images_kept=bindparam("new_images_kept"),
        images=bindparam("new_images"),
        images_until=bindparam("new_images_until"),
        error=bindparam("new_error"),
        cost=bindparam("new_cost"),
        known_cost=bindparam("new_known_cost"),
        bill_next=bindparam("new_bill_next"),
        # A request that was reopened and ended again has a new bill to complete.
        bill_tries=_NONE,
    )
)
_END = (
    "new_status",
    "now",
    "new_cost",
    "new_known_cost",
    "new_images",
    "new_bill_next",
    "new_answer",
    "new_images_kept",
    "new_images_until",
    "new_error",
    "request_id",
    "held_fence",
)
SETTLE = Statement(_SETTLE, *_END)
# Hidden from PostgreSQL's planner: of many ends each would be looked for among all that is open.
SETTLE_FIRST = Statement(_SETTLE.where(func.coalesce(requests.c.status, _EMPTY).in_(_OPEN)), *_END)
"""As `SETTLE`, of what has not ended: what it changes had no end before, also none whose commit is in doubt."""
_BOOK = (
    update(tasks)
    .where(tasks.c.uuid == bindparam("task_id"))
    .values(cost=bindparam("new_cost"), known_cost=bindparam("new_known_cost"))
)
BOOK_HELD = Statement(_BOOK.where(_OF_HELD), "new_cost", "new_known_cost", "task_id", "of_request", "held_fence")
BOOK_TASK = Statement(_BOOK, "new_cost", "new_known_cost", "task_id")
BOOK_UNSENT = Statement(
    update(tasks)
    .where(tasks.c.request_id == bindparam("of_request"), tasks.c.cost.is_(None), tasks.c.known_cost.is_(None))
    .where(_OF_HELD)
    .values(cost=_NONE),
    "of_request",
    "held_fence",
)
"""Once a request has ended, a task that nothing was ever written of was not sent."""
# `delivered_at` ends joining without a key; `connected` drops for this caller alone (0062).
ACKNOWLEDGE_DELIVERED = Statement(
    update(requests).where(_BY_ID).values(connected=_FEWER, delivered_at=bindparam("now")), "now", "request_id"
)
# A caller with the request's id asks again by id: no break, so an equal request meanwhile is a new order.
ACKNOWLEDGE_DEFERRED = Statement(update(requests).where(_BY_ID).values(connected=_FEWER), "request_id")
# The receipt came too early: the connection was reset after the last byte. `connected` was counted down then already.
RETRACT = update(requests).where(_BY_ID).values(delivered_at=null(), broken_at=bindparam("now"))
REOPEN = (
    update(requests)
    # The fencing number makes it happen once, however many callers ask at the same moment.
    .where(*_HELD, requests.c.status.not_in(_OPEN), requests.c.connected <= bindparam("callers"))
    .values(
        status=Status.PROCESSING.value,
        owner="",
        fence=requests.c.fence + 1,
        tries=0,
        answer=null(),
        delivered_at=null(),
        broken_at=bindparam("now"),
    )
)
"""Its images are nowhere but at Runware: the search for abandoned requests fetches them again, once."""
# Only from an open state: a request that ended meanwhile stays ended.
BEGIN = update(requests).where(*_HELD, requests.c.status.in_(_OPEN)).values(status=Status.PROCESSING.value)
# Tasks first, for the foreign key. Nothing was sent for them: sending waits for the claim's commit.
WITHDRAW_TASKS = delete(tasks).where(tasks.c.request_id == bindparam("request_id"))
WITHDRAW = delete(requests).where(_BY_ID)
# Found by who joined last, since a claim in doubt does not know which request it joined (0051).
JOINED = select(requests.c.id).where(
    requests.c.tenant == _TENANT, requests.c.fingerprint == _FINGERPRINT, requests.c.joined_by == bindparam("by")
)
UNJOIN = (
    update(requests)
    .where(_BY_ID, requests.c.joined_by == bindparam("by"))
    .values(connected=_FEWER, joined_by=null(), broken_at=bindparam("now"))
)
ACKNOWLEDGE_LOST = Statement(
    update(requests).where(_BY_ID).values(connected=_FEWER, broken_at=bindparam("now")), "now", "request_id"
)
TASKS_OF = (
    select(tasks.c.uuid, tasks.c.cost, tasks.c.known_cost)
    .where(tasks.c.request_id == bindparam("request_id"))
    .order_by(tasks.c.position)
)
FIND = select(requests).where(_BY_ID)
OPEN_OF = select(requests.c.id).where(requests.c.id.in_(bindparam("ids", expanding=True)), requests.c.status.in_(_OPEN))
# Not into a row without an answer: it was reopened or deleted meanwhile, and names of images would bring it back.
STORE_ANSWER = (
    update(requests)
    .where(_BY_ID, requests.c.answer.is_not(None))
    .values(answer=bindparam("new_answer"), images_kept=bindparam("new_images_kept"))
)
# The key stays, so that its derived task ids cannot bring the images back (0055).
# Only of what has ended, and with another fence: who is about to reopen or to settle it finds it changed (0168).
PURGE = (
    update(requests)
    .where(_BY_ID, requests.c.status.not_in(_OPEN))
    .values(
        prompt=null(),
        answer=null(),
        error=bindparam("new_error"),
        purged_at=bindparam("now"),
        fence=requests.c.fence + 1,
    )
)
WATCHED = select(
    requests.c.id,
    requests.c.owner,
    requests.c.fence,
    requests.c.beat,
    requests.c.tries,
    requests.c.status,
    requests.c.tenant,
).where(or_(requests.c.status.in_(_OPEN), _UNSERVED))
"""What somebody must hold: work that has not ended, and answers whose callers are yet to get them."""
# Both numbers must stand as they were seen. Of two processes that look at once one matches, and a holder that renewed
# in between keeps its work (0059).
TAKE = (
    update(requests)
    .where(*_HELD, requests.c.beat == bindparam("seen_beat"), or_(requests.c.status.in_(_OPEN), _UNSERVED))
    .values(
        owner=bindparam("process"),
        fence=requests.c.fence + 1,
        tries=case((requests.c.status.in_(_OPEN), requests.c.tries + 1), else_=requests.c.tries),
        connected=0,
        broken_at=bindparam("now"),
    )
    .returning(requests)
)
"""Only what stands as it was seen: its holder may have moved meanwhile, or another process been quicker."""
# Not counted as a try, since nobody tried: it waits for a key, and a long wait must not look like a fault (0136).
LET_GO = (
    update(requests)
    .where(*_HELD, requests.c.beat == bindparam("seen_beat"), requests.c.status.in_(_OPEN))
    .values(owner="", fence=requests.c.fence + 1, connected=0, broken_at=bindparam("now"))
)
# No fencing number here: of what another process has taken, the answer tells (`owner`, `fence`), and the holder gives
# it up.
RENEW = (
    update(requests)
    .where(requests.c.id.in_(bindparam("ids", expanding=True)))
    .where(or_(requests.c.status.in_(_OPEN), _UNSERVED))
    .values(
        beat=case(
            (and_(requests.c.status.in_(_OPEN), requests.c.owner != bindparam("process")), requests.c.beat),
            else_=requests.c.beat + 1,
        )
    )
    .returning(requests.c.id, requests.c.owner, requests.c.fence)
)
"""Work is kept alive by its holder alone; an answer by every process that has a caller for it."""
CONFIRM = update(requests).where(*_HELD).values(beat=requests.c.beat + 1)
# The number grows here too: what this process still has in its queue for the request no longer counts (0059).
RELEASE = (
    # Callers were connected to the process that has ended.
    update(requests).where(*_HELD).values(owner="", fence=requests.c.fence + 1, connected=0, broken_at=bindparam("now"))
)
