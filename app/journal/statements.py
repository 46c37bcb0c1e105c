"""The statements that every request runs, built once: building them anew costs more than running them."""

from sqlalchemy import BindParameter, and_, bindparam, case, delete, func, insert, null, or_, select, update

from app.database.tables import requests, tasks
from app.journal.records import Status

_TENANT: BindParameter[str] = bindparam("tenant")
_FINGERPRINT: BindParameter[str] = bindparam("fingerprint")
_EQUAL = (
    requests.c.tenant == _TENANT,
    requests.c.fingerprint == _FINGERPRINT,
    func.coalesce(requests.c.key_hash, "") == "",  # hidden from SQLite's planner, which would search by it
    requests.c.delivered_at.is_(None),
    requests.c.key_until >= bindparam("now"),
)
"""An equal request without a key that nobody got yet."""
_OPEN = (Status.QUEUED.value, Status.PROCESSING.value)
_BY_ID = requests.c.id == bindparam("request_id")

BY_KEY = select(requests).where(requests.c.tenant == _TENANT, requests.c.key_hash == bindparam("key"))
ADOPTABLE = (
    select(requests)
    .where(*_EQUAL, requests.c.connected <= 0, requests.c.broken_at >= bindparam("broken_since"))
    .where(or_(*(requests.c.status == status for status in _OPEN), requests.c.answer.is_not(None)))
)
WAITING_ELSEWHERE = select(requests).where(
    *_EQUAL, requests.c.connected > 0, requests.c.owner != bindparam("owner"), requests.c.error.is_(None)
)
INSERT_REQUEST = insert(requests)
INSERT_TASKS = insert(tasks)
JOIN = (
    update(requests)
    .where(_BY_ID)
    .values(
        connected=case((requests.c.joined_by == bindparam("by"), requests.c.connected), else_=requests.c.connected + 1),
        joined_by=bindparam("by"),
    )
)
"""Writing it twice, as after a commit whose end nobody heard of, counts one caller."""
_FEWER = case((requests.c.connected > 0, requests.c.connected - 1), else_=0)
FORGET_KEY = update(requests).where(_BY_ID).values(key_hash=null())
SETTLE = (
    update(requests)
    .where(_BY_ID)
    .values(
        status=bindparam("new_status"),
        completed_at=bindparam("now"),
        answer=bindparam("new_answer"),
        error=bindparam("new_error"),
        cost=bindparam("new_cost"),
        known_cost=bindparam("new_known_cost"),
        bill_next=bindparam("new_bill_next"),
        bill_tries=0,
    )
)
BOOK = (
    update(tasks)
    .where(tasks.c.uuid == bindparam("task_id"))
    .values(cost=bindparam("new_cost"), known_cost=bindparam("new_known_cost"))
)
BOOK_UNSENT = (
    update(tasks)
    .where(tasks.c.request_id == bindparam("of_request"), tasks.c.cost.is_(None), tasks.c.known_cost.is_(None))
    .values(cost="0")
)
"""Once a request has ended, a task that nothing was ever written of was not sent."""
DELIVER = update(requests).where(_BY_ID).values(connected=_FEWER, delivered_at=bindparam("now"))
PART = update(requests).where(_BY_ID).values(connected=_FEWER)
UNDELIVER = update(requests).where(_BY_ID).values(delivered_at=null(), broken_at=bindparam("now"))
REOPEN = (
    update(requests)
    .where(_BY_ID, requests.c.completed_at == bindparam("ended_at"), requests.c.connected <= bindparam("callers"))
    .values(
        status=Status.PROCESSING.value,
        owner="",
        lease_until=0.0,
        answer=null(),
        delivered_at=null(),
        broken_at=bindparam("now"),
    )
)
"""Its images are nowhere but at Runware: whoever looks for abandoned requests brings them here again, once."""
BEGIN = update(requests).where(_BY_ID).values(status=Status.PROCESSING.value)
WITHDRAW_TASKS = delete(tasks).where(tasks.c.request_id == bindparam("request_id"))
WITHDRAW = delete(requests).where(_BY_ID)
UNJOIN = (
    update(requests)
    .where(requests.c.tenant == bindparam("of_tenant"), requests.c.fingerprint == bindparam("of_fingerprint"))
    .where(requests.c.joined_by == bindparam("by"))
    .values(connected=_FEWER, joined_by=null(), broken_at=bindparam("now"))
)
BREAK = update(requests).where(_BY_ID).values(connected=_FEWER, broken_at=bindparam("now"))
TASKS_OF = (
    select(tasks.c.uuid, tasks.c.cost, tasks.c.known_cost)
    .where(tasks.c.request_id == bindparam("request_id"))
    .order_by(tasks.c.position)
)
FIND = select(requests).where(_BY_ID)
KEEP_ANSWER = update(requests).where(_BY_ID).values(answer=bindparam("new_answer"))
PURGE = update(requests).where(_BY_ID).values(prompt=null(), answer=null())
LEFT_BEHIND = (
    select(requests)
    .where(
        or_(
            and_(requests.c.status.in_(_OPEN), requests.c.lease_until < bindparam("now")),
            and_(requests.c.connected > 0, requests.c.delivered_at.is_(None), requests.c.error.is_(None))
            & (requests.c.lease_until + 0 < bindparam("now")),  # few have callers, most leases are over
        )
    )
    .order_by(requests.c.created_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
RENEW = (
    update(requests)
    .where(requests.c.owner == bindparam("process"))
    .where(or_(requests.c.status.in_(_OPEN), requests.c.connected > 0))
    .values(lease_until=bindparam("until"))
)
LIVE_OWNERS = select(requests.c.owner).where(requests.c.lease_until >= bindparam("now")).distinct()
