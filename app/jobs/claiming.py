"""Claims a request before anything is sent for it: it is new, or what was bought before is joined.

Owns when a claim is certain: everything that happened here is written down first, and whether the caller of an equal
request is gone is waited for. Leaves the rules of claims to the journal, and what is done with a new one to `runner`.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.access.account import Account
from app.access.budgets import RefusedError
from app.access.gates import Gates
from app.catalog.modes import Mode
from app.database.errors import DatabaseUnavailableError
from app.database.transaction import Transaction
from app.domain.answer import AdjustmentMode
from app.domain.values import replace
from app.errors import ConflictingKeyError, GatewayError, JournalError, QuotaError, RateLimitedError
from app.jobs.codec import StoredPlan, encode_plan
from app.jobs.entry import Entry
from app.jobs.leases import LeaseKeeper
from app.jobs.receipts import DeliveryReceipts
from app.jobs.write_queue import WriteQueue
from app.journal.claims import Claim
from app.journal.journal import Journal
from app.journal.records import Intent, KeyExpiredError, KeyReusedError, Lease, NothingToJoinError, Sighting
from app.observability.logs import get_logger
from app.planning.output import must_host
from app.planning.prepared import Prepared

_logger = get_logger("jobs")
_LOOK_SECONDS = 0.1
_LONGEST_TEXT = 200
"""What the journal keeps of names that callers choose."""
_PATIENCE_SECONDS = 1.0
"""How long a retry waits for the end of the connection it may have overtaken."""


@dataclass(frozen=True, slots=True)
class Books:
    """Where claims are written down."""

    journal: Journal
    keeper: LeaseKeeper
    queue: WriteQueue
    receipts: DeliveryReceipts


class StorageGate(Protocol):
    """What knows whether images can be hosted."""

    async def check(self, images: int) -> None:
        """Raise a GatewayError where so many images could not be."""
        ...


class Claimer:
    """Makes claims. `clock` is monotonic seconds."""

    def __init__(
        self, books: Books, gates: Gates, storage: StorageGate, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._storage = storage
        self._journal = books.journal
        self._keeper = books.keeper
        self._queue = books.queue
        self._receipts = books.receipts
        self._admission, self._accounts, self._meters = gates.admission, gates.accounts, gates.meters
        self._metrics = gates.metrics
        self._clock = clock

    async def claim(self, intent: Intent, entry: Entry) -> Claim:
        """A claim on the request. With a lease in the `entry` its work is to be begun here.

        What is taken stands in the entry at once, so that whoever holds that can give it back whatever happens. Not to
        be cancelled: a commit cannot be.

        Raises ConflictingKeyError for a key that belongs to another request, what `Admission.take` raises where there
        is nothing to join, KeyExpiredError, and JournalError when nothing can be written down: then nothing is sent
        either. For a caller who goes away meanwhile nothing new is begun, unless its key leads back to it.
        """
        try:
            if intent.hosted:  # nothing is bought that could not be handed over (0167)
                await self._storage.check(intent.hosted)
            ticket = entry.ticket
            if ticket is None:  # else one was taken for the same request, whose key has expired meanwhile
                ticket = entry.ticket = self._admission.take(intent.tenant, len(intent.task_ids))
        except GatewayError as refusal:
            return await self._only_join(replace(intent, joins_only=True), refusal, entry)
        # Before the claim: a lease counts from the question, not from an answer that may have been delayed (0059).
        asked = self._keeper.now()
        # Remembered: its turn may come while the claim is written.
        entry.is_queued = ticket.waits
        claim = await self._settled_claim(replace(intent, queued=True) if entry.is_queued else intent, entry)
        if not claim.is_new:
            ticket.release()
        elif intent.key_hash is None and entry.caller.cancelled():
            ticket.release()  # its retry may have been here before it: only one of the two may buy (0042)
            await self._queue.write(claim.record.id, lambda: self._withdraw(intent))
        else:
            # A key leads its caller back to the work, so that is begun also for a caller that has left.
            entry.lease = Lease(claim.record.id, claim.record.fence)
            self._keeper.hold(entry.lease, asked)
        return claim

    async def _only_join(self, intent: Intent, refusal: GatewayError, entry: Entry) -> Claim:
        """What may be joined even though nothing new may be begun."""
        try:
            return await self._settled_claim(intent, entry)
        except NothingToJoinError:
            raise refusal from None

    async def _settled_claim(self, intent: Intent, entry: Entry) -> Claim:
        """A claim that knows of all that has happened here before, and whose caller is counted."""
        try:
            while True:
                if intent.key_hash is None and self._queue.lagging:  # whom it may join depends on who went away
                    await self._queue.flush()
                claim = await self._claim_once(intent)
                if claim.rivals:
                    claim = await self._certain_claim(intent, claim)
                # A departure that the database refused may be the very one this retry should have joined. Then a new
                # claim is not certain and is taken back (0051).
                if not (claim.is_new and intent.key_hash is None and self._queue.lagging):
                    entry.counted = claim.record.id
                    self._keeper.add_caller(claim.record.id)
                    return claim
                await self._withdraw(intent)  # somebody's going was refused meanwhile, and not seen
        except KeyReusedError:
            raise ConflictingKeyError from None
        except DatabaseUnavailableError:
            _logger.exception("the journal does not answer", id=intent.request_id)
            # The commit may stand although its answer was lost: taken back as soon as the database can be reached
            # (0051).
            self._queue.enqueue(intent.request_id, lambda: self._withdraw(intent))
            raise JournalError from None

    async def _certain_claim(self, intent: Intent, claim: Claim) -> Claim:
        """For what may be the retry of an equal request that has its caller, a claim once it is certain whether it has.

        The end of a connection may be noticed after the request that follows it: it is waited for. And whoever reports
        a connection must be alive: a process elsewhere shows that by its lease, or loses it.
        """
        until = self._clock() + _PATIENCE_SECONDS
        first_seen: dict[str, Sighting] = {}
        if any(one.owner != self._journal.claims.owner for one in claim.rivals):
            self._keeper.wake()  # what a process that has ended leaves behind is taken over now, not at the next look
        while claim.rivals:
            alive = [self._lives(one, first_seen) for one in claim.rivals]
            # Waiting costs a true second order one second; not waiting would cost a retry a second purchase (0062).
            if all(alive) and self._clock() >= until:
                intent = replace(intent, retries=False, is_another=True)  # their callers are there
            else:
                await self._receipts.wait_for_departure([one.request_id for one in claim.rivals], _LOOK_SECONDS)
            claim = await self._claim_once(intent)
        return claim

    async def _claim_once(self, intent: Intent) -> Claim:
        """A claim as things are now, durable when this returns, raising what the key's account does not allow."""
        names = self._journal.claims.names_of(intent)
        accounts = () if intent.key is None else (intent.tenant,)
        try:
            claim, account = await self._journal.writer.decide(names, accounts, self._accept, intent)
        except KeyExpiredError as expired:
            # By itself, since the claim it was found by leaves nothing behind.
            await self._journal.writer.post(self._journal.claims.forget_key, expired.earlier_id)
            raise
        except RefusedError as refused:
            self._count_refusal(refused.error)
            if refused.account is not None:
                self._meters.note(refused.account)
            if refused.is_unwarned:
                # By itself too, and not waited for: a refusal writes nothing, and its caller need not wait to hear it.
                self._queue.enqueue(intent.request_id, lambda: self._warn_used_up(intent.tenant))
            raise refused.error from None
        if account is not None:
            self._meters.note(account)
        return claim

    def _accept(self, transaction: Transaction, intent: Intent) -> tuple[Claim, Account | None]:
        """The unit of work of a request that is accepted: what other rooms must hold of it is called here.

        Where one of them raises, there is no claim either. Who joins an earlier request pays nothing, and is not
        counted.
        """
        joined = self._journal.claims.join(transaction, intent)
        if joined is not None:
            return joined, None
        charge = self._accounts.charge(transaction, intent)
        claim = self._journal.claims.open(transaction, intent, charge.at, charge.reserve)
        return claim, charge.account

    def _count_refusal(self, error: GatewayError) -> None:
        if isinstance(error, RateLimitedError):
            self._metrics.rate_limited()
        elif isinstance(error, QuotaError):
            self._metrics.budget_refused()

    async def _warn_used_up(self, key_id: str) -> None:
        await self._journal.writer.write(self._accounts.warn_used_up, key_id)

    async def _withdraw(self, intent: Intent) -> None:
        claims = self._journal.claims
        await self._journal.writer.write_locked(claims.names_of(intent), claims.withdraw, intent)

    def _lives(self, rival: Sighting, first_seen: dict[str, Sighting]) -> bool:
        """Whether the holder of an equal request has given a sign of life since it was first seen."""
        before = first_seen.setdefault(rival.request_id, rival)
        # A process that died says nothing of its callers: a lease that does not move counts against it (0059).
        return rival.owner == self._journal.claims.owner or (rival.fence, rival.beat) != (before.fence, before.beat)


def to_intent(prepared: Prepared) -> Intent:
    """The request as it is claimed."""
    spec, plan, request, context = prepared.spec, prepared.plan, prepared.request, prepared.context
    key = context.idempotency_key
    return Intent(
        request_id=context.request_id,
        tenant=context.tenant,
        # Hashed: keys may contain private data, and the journal needs only to compare them.
        key_hash=hashlib.sha256(key.encode()).hexdigest() if key is not None else None,
        fingerprint=prepared.fingerprint,
        endpoint="generations" if request.mode is Mode.GENERATE else "edits",
        model=_storable(prepared.requested_model),
        executed_model=spec.model.air,
        n=spec.count,
        task_ids=tuple([task.task_uuid for task in plan.tasks]),
        estimate=prepared.price.total,
        plan=encode_plan(StoredPlan(context.origin, plan.places, spec.output, spec.adjustments)),
        retries=context.retries,
        user=None if request.user is None else _storable(request.user),
        client_request_id=None if context.client_request_id is None else _storable(context.client_request_id),
        prompt=prepared.kept_prompt.replace("\x00", "") if prepared.kept_prompt else None,
        webhook_url=request.webhook_url,
        key=context.key,
        hosted=spec.count if must_host(spec.output) else 0,
        dropped=[one.mode for one in spec.adjustments].count(AdjustmentMode.DROPPED) if spec.adjustments else 0,
    )


def _storable(text: str) -> str:
    """A caller's word as every database takes it: short, and without the character PostgreSQL refuses."""
    return text.replace("\x00", "")[:_LONGEST_TEXT]
