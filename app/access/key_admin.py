"""What administrators do with keys: each deed is one transaction with its account and its line in the audit log.

Whoever asks, over HTTP or on the command line, comes through here. Owns who may have which name, and what rotating and
revoking mean; leaves rows to `key_store`, sums to `budgets`.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from sqlalchemy import Connection

from app.access.audit import KEY_CREATED, KEY_REVOKED, KEY_ROTATED, KEY_UPDATED, Facts, write_entry
from app.access.budgets import restate_account
from app.access.key_facts import facts_of, status_of
from app.access.key_format import ID_BYTES, SECRET_BYTES, digest_of, make_id, make_key
from app.access.key_store import (
    AccountSums,
    StoredKey,
    fetch_sums,
    find_key,
    insert_key,
    list_keys,
    save_key,
)
from app.database.reader import Reader
from app.database.transaction import Transaction
from app.database.writer import Writer
from app.domain.caller import ApiKey
from app.domain.key_records import KeyBudget, KeyDraft, KeyPage, KeyStatus, KeyView
from app.domain.money import from_nanos
from app.domain.words import JSONValue
from app.errors import InvalidRequestError, NotFoundError
from app.journal.webhooks import without_secrets
from app.ledger.periods import first_day, resets_at

# One deed at a time on all replicas: two of them must not give one name twice, and there are few.
_ONE_AT_A_TIME = ("keys",)
_SHOWN = 4


class Revision(Protocol):
    """What is to be changed of a key."""

    def apply(self, draft: KeyDraft) -> KeyDraft:
        """What is decided of the key then, raising InvalidRequestError for what cannot be."""
        ...


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A key with its text, which is shown this once."""

    view: KeyView
    text: str


class KeyAdmin:
    """The keys of the database. `clock` is unix seconds, `random` gives so many random bytes."""

    def __init__(
        self,
        writer: Writer,
        reader: Reader,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._random = random

    async def create(self, actor: str, wanted: Revision) -> NewSecret:
        """Make a key."""
        return await self._writer.write_locked(_ONE_AT_A_TIME, self._create, actor, wanted)

    async def update(self, actor: str, reference: str, wanted: Revision) -> KeyView:
        """Change what is decided of a key, which is named by id or name."""
        return await self._writer.write_locked(_ONE_AT_A_TIME, self._update, actor, reference, wanted)

    async def rotate(self, actor: str, reference: str, grace: float) -> NewSecret:
        """Give a key another secret; the one before opens for `grace` seconds more."""
        return await self._writer.write_locked(_ONE_AT_A_TIME, self._rotate, actor, reference, grace)

    async def revoke(self, actor: str, reference: str) -> KeyView:
        """End a key; a second time changes nothing."""
        return await self._writer.write_locked(_ONE_AT_A_TIME, self._revoke, actor, reference)

    async def show(self, reference: str) -> KeyView:
        """One key."""

        def work(connection: Connection) -> KeyView:
            return self._view(connection, _find(connection, reference).key)

        return await self._reader.read(work)

    async def page(self, page: KeyPage) -> tuple[list[KeyView], bool]:
        """A page of keys, newest first, and whether there are more."""

        def work(connection: Connection) -> tuple[list[KeyView], bool]:
            now = self._clock()
            keys, more = list_keys(connection, page, now)
            sums = fetch_sums(connection, [key.id for key in keys])
            return [_view_of(key, sums.get(key.id, AccountSums()), now) for key in keys], more

        return await self._reader.read(work)

    def _create(self, transaction: Transaction, actor: str, wanted: Revision) -> NewSecret:
        draft = wanted.apply(KeyDraft())
        if not draft.name:
            message = "`name` is missing: say whose key it is."
            raise InvalidRequestError(message, param="name", code="missing_required_parameter")
        key_id = make_id(self._random(ID_BYTES))
        text = make_key(key_id, self._random(SECRET_BYTES))
        key = _decided(ApiKey(key_id, draft.name, text[-_SHOWN:], self._clock()), draft)
        self._check_name(transaction, key)
        # Before the row of the key, as claims take the two.
        transaction.lock_accounts((key_id,))
        insert_key(transaction, StoredKey(key, digest_of(text)))
        restate_account(transaction, key_id, key.created_at)
        self._note(transaction, KEY_CREATED, actor, None, key)
        return NewSecret(self._view(transaction.connection, key), text)

    def _update(self, transaction: Transaction, actor: str, reference: str, wanted: Revision) -> KeyView:
        stored = self._find_valid(transaction, reference)
        key = _decided(stored.key, wanted.apply(_draft_of(stored.key)))
        if key.name != stored.key.name:
            self._check_name(transaction, key)
        save_key(transaction, replace(stored, key=key))
        before, after = stored.key.limits, key.limits
        if (before.budget, before.period) != (after.budget, after.period):
            restate_account(transaction, key.id, self._clock())
        self._note(transaction, KEY_UPDATED, actor, stored.key, key)
        return self._view(transaction.connection, key)

    def _rotate(self, transaction: Transaction, actor: str, reference: str, grace: float) -> NewSecret:
        stored = self._find_valid(transaction, reference)
        now = self._clock()
        if status_of(stored.key, now) is KeyStatus.EXPIRED:
            raise InvalidRequestError("This key has expired: give it another `expires_at` first.", code="key_expired")
        text = make_key(stored.key.id, self._random(SECRET_BYTES))
        key = replace(stored.key, last_four=text[-_SHOWN:])
        save_key(transaction, StoredKey(key, digest_of(text), stored.digest, now + grace))
        self._note(transaction, KEY_ROTATED, actor, stored.key, key, {"previous_until": int(now + grace)})
        return NewSecret(self._view(transaction.connection, key), text)

    def _revoke(self, transaction: Transaction, actor: str, reference: str) -> KeyView:
        stored = _find(transaction.connection, reference)
        if stored.key.revoked_at is not None:
            return self._view(transaction.connection, stored.key)
        transaction.lock_accounts((stored.key.id,))
        key = replace(stored.key, revoked_at=self._clock())
        save_key(transaction, replace(stored, key=key))
        self._note(transaction, KEY_REVOKED, actor, stored.key, key)
        return self._view(transaction.connection, key)

    def _find_valid(self, transaction: Transaction, reference: str) -> StoredKey:
        """A key that may be changed, under the lock of its account, which comes before its row."""
        stored = _find(transaction.connection, reference)
        if stored.key.revoked_at is not None:
            raise InvalidRequestError("This key was revoked, and stays it: make another one.", code="key_revoked")
        transaction.lock_accounts((stored.key.id,))
        return stored

    def _check_name(self, transaction: Transaction, key: ApiKey) -> None:
        other = find_key(transaction.connection, key.name)
        if other is not None and other.key.id != key.id and other.key.revoked_at is None:
            message = f"Another key is called {key.name!r} ({other.key.id}): choose another name, or revoke that key."
            raise InvalidRequestError(message, param="name", code="name_taken")

    def _note(
        self,
        transaction: Transaction,
        action: str,
        actor: str,
        before: ApiKey | None,
        after: ApiKey,
        more: Facts | None = None,
    ) -> None:
        now = self._clock()
        write_entry(
            transaction,
            action,
            at=now,
            actor=actor,
            target=after.id,
            before=None if before is None else _written(before, now),
            after={**_written(after, now), **(more or {})},
        )

    def _view(self, connection: Connection, key: ApiKey) -> KeyView:
        return _view_of(key, fetch_sums(connection, [key.id]).get(key.id, AccountSums()), self._clock())


def _find(connection: Connection, reference: str) -> StoredKey:
    stored = find_key(connection, reference)
    if stored is None:
        raise NotFoundError("There is no key with this id or name.", code="key_not_found")
    return stored


def _written(key: ApiKey, now: float) -> dict[str, JSONValue]:
    """What the log keeps of a key: of addresses not what permits to post there, also where a default is one."""
    url = None if key.webhook_url is None else without_secrets(key.webhook_url)
    defaults = {name: _without_secrets(value) for name, value in key.defaults.items()}
    return {**facts_of(key, status_of(key, now)), "webhook_url": url, "defaults": defaults}


def _without_secrets(value: JSONValue) -> JSONValue:
    """A default without what an address in it keeps to itself."""
    is_address = isinstance(value, str) and value.lower().startswith(("http://", "https://"))
    return without_secrets(str(value)) if is_address else value


def _draft_of(key: ApiKey) -> KeyDraft:
    return KeyDraft(key.name, key.is_admin, key.expires_at, key.limits, key.defaults, key.webhook_url)


def _decided(key: ApiKey, draft: KeyDraft) -> ApiKey:
    return replace(
        key,
        name=draft.name,
        is_admin=draft.is_admin,
        expires_at=draft.expires_at,
        limits=draft.limits,
        defaults=draft.defaults,
        webhook_url=draft.webhook_url,
    )


def _view_of(key: ApiKey, sums: AccountSums, now: float) -> KeyView:
    """The key with its account as it is now: in a new period nothing is spent, whoever writes that down."""
    limits = key.limits
    # Never back: another replica whose clock is ahead may have begun the next period.
    first = max(first_day(limits.period, now), sums.period_start)
    spent, reserved = (sums.spent, sums.reserved) if sums.period_start == first else (0, 0)
    remaining = None if limits.budget is None else max(limits.budget - from_nanos(spent + reserved), from_nanos(0))
    ends = resets_at(limits.period, first)
    budget = KeyBudget(
        limits.budget,
        limits.period,
        from_nanos(spent),
        from_nanos(reserved),
        remaining,
        None if ends is None else int(ends),
    )
    return KeyView(key, status_of(key, now), budget)
