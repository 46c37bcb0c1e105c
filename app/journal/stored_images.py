"""What is stored until when, and how many bytes that takes: a row for each image, and their sum.

Works on the caller's transaction. Whatever changes the sum locks it first, so that it is exact on all replicas, and so
that of a deletion and of a late image one comes after the other. Leaves the images themselves to `media`.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Float,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.database.image_tables import storage_use, stored_images
from app.database.tables import requests
from app.database.transaction import Transaction
from app.media.sweeper import Expired, FoundFile

UNDER_WAY_SECONDS = 300.0
"""Longer than any image takes to be written: a younger one may be on its way still."""
_USE = "images"
_BYTES: BindParameter[int] = bindparam("more")
_IN_USE = storage_use.c.name == _USE
_LOCK = update(storage_use).where(_IN_USE).values(bytes=storage_use.c.bytes)
_ADD = update(storage_use).where(_IN_USE).values(bytes=storage_use.c.bytes + _BYTES)
_ADD_WITHIN = _ADD.where(storage_use.c.bytes + _BYTES <= bindparam("most"))
_USED = select(storage_use.c.bytes).where(_IN_USE)
_RESTATE = (
    update(storage_use)
    .where(_IN_USE)
    .values(bytes=select(func.coalesce(func.sum(stored_images.c.bytes), 0)).scalar_subquery())
)
_INSERT = insert(stored_images)
_IS_PURGED = select(requests.c.id).where(requests.c.id == bindparam("of_request"), requests.c.purged_at.is_not(None))
_SIZE = select(stored_images.c.bytes).where(stored_images.c.path == bindparam("of_path"))
_RESIZE = update(stored_images).where(stored_images.c.path == bindparam("of_path")).values(bytes=bindparam("new_bytes"))
_PATHS: BindParameter[Any] = bindparam("paths", expanding=True)
_REMOVE = delete(stored_images).where(stored_images.c.path.in_(_PATHS)).returning(stored_images.c.bytes)
_KNOWN = select(stored_images.c.path).where(stored_images.c.path.in_(_PATHS))
_OF_REQUEST = stored_images.c.request_id == bindparam("of_request")
_PATHS_OF = select(stored_images.c.path).where(_OF_REQUEST)
_AGE_LIMIT = stored_images.c.created_at + UNDER_WAY_SECONDS
# One that may be under way is deleted once more when it surely has arrived.
_END = (
    update(stored_images)
    .where(_OF_REQUEST)
    .values(expires_at=case((bindparam("now") < _AGE_LIMIT, _AGE_LIMIT), else_=bindparam("now")))
)


class _SureNow(FunctionElement[float]):
    """A moment that both this process and the server, where there is one, take for past or present."""

    type = Float()
    inherit_cache = True


@compiles(_SureNow)
def _compile_now(element: _SureNow, compiler: SQLCompiler, **options: object) -> str:
    return compiler.process(element.clauses, **options)


@compiles(_SureNow, "postgresql")
def _compile_postgres_now(element: _SureNow, compiler: SQLCompiler, **options: object) -> str:
    # A process whose clock is ahead deletes nothing too early: the server's clock is the same for all (0164).
    return f"LEAST({compiler.process(element.clauses, **options)}, EXTRACT(EPOCH FROM clock_timestamp()))"


_EXPIRED = (
    select(stored_images.c.expires_at, stored_images.c.path)
    .where(stored_images.c.expires_at <= _SureNow(bindparam("now", type_=Float())) - bindparam("spared"))
    .where(
        or_(
            stored_images.c.expires_at > bindparam("after_time"),
            (stored_images.c.expires_at == bindparam("after_time")) & (stored_images.c.path > bindparam("after_path")),
        )
    )
    .order_by(stored_images.c.expires_at, stored_images.c.path)
    .limit(bindparam("limit"))
)


class Registration(Enum):
    """Whether an image may be stored."""

    DONE = "done"
    FULL = "full"
    """It would take more than all images together may."""
    DELETED = "deleted"
    """The payloads of its request were deleted: nothing of it is stored any more."""


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image that is about to be stored at `path`, and how many seconds it stays."""

    path: str
    request_id: str
    bytes: int
    seconds: float


class StoredImages:
    """The rows of stored images. `clock` is unix seconds; new rows are dated by `dates`, the same unless said."""

    def __init__(self, clock: Callable[[], float] = time.time, dates: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self._dates = dates or clock

    def register(self, transaction: Transaction, image: NewImage, most: int | None = None) -> Registration:
        """Count an image before it is stored, unless all together would then take more than `most` bytes."""
        add: dict[str, object] = {"more": image.bytes}
        changed = (
            transaction.execute(_ADD, add) if most is None else transaction.execute(_ADD_WITHIN, add | {"most": most})
        )
        if not changed.rowcount:
            return Registration.FULL
        if transaction.connection.execute(_IS_PURGED, {"of_request": image.request_id}).first() is not None:
            transaction.execute(_ADD, {"more": -image.bytes})
            return Registration.DELETED
        now = self._dates()
        row = {"path": image.path, "request_id": image.request_id, "bytes": image.bytes}
        transaction.execute(_INSERT, row | {"created_at": now, "expires_at": now + image.seconds})
        return Registration.DONE

    def resize(self, transaction: Transaction, path: str, size: int, most: int | None = None) -> bool:
        """Say how large an image is whose size was not known when it was registered; False where it does not fit."""
        transaction.execute(_LOCK, {})
        before = transaction.connection.execute(_SIZE, {"of_path": path}).scalar()
        if before is not None:
            transaction.execute(_RESIZE, {"of_path": path, "new_bytes": size})
            transaction.execute(_ADD, {"more": size - int(before)})
        return most is None or self.used(transaction.connection) <= most

    def remove(self, transaction: Transaction, paths: Collection[str]) -> None:
        """Forget images that are deleted, or were not stored after all."""
        transaction.execute(_LOCK, {})
        freed = sum(transaction.execute(_REMOVE, {"paths": list(paths)}).scalars().all())  # type: ignore[arg-type]
        transaction.execute(_ADD, {"more": -freed})

    def end(self, transaction: Transaction, request_id: str) -> list[str]:
        """End the time of all images of a request; their paths, to be deleted now.

        Their rows stay for the sweeper: what it finds of them then is deleted once more.
        """
        transaction.execute(_LOCK, {})
        transaction.execute(_END, {"of_request": request_id, "now": self._clock()})
        return list(transaction.connection.execute(_PATHS_OF, {"of_request": request_id}).scalars())

    def unknown(self, connection: Connection, found: Sequence[FoundFile]) -> list[FoundFile]:
        """Those that have no row."""
        known = set(connection.execute(_KNOWN, {"paths": [one.path for one in found]}).scalars())
        return [one for one in found if one.path not in known]

    def adopt(self, transaction: Transaction, found: Sequence[FoundFile]) -> int:
        """Give rows to those that have none, and count them; how many had none."""
        transaction.execute(_LOCK, {})
        unknown = self.unknown(transaction.connection, found)
        rows = [
            {"path": one.path, "request_id": "", "bytes": one.bytes, "created_at": one.modified_at}
            | {"expires_at": one.expires_at}
            for one in unknown
        ]
        if rows:
            transaction.execute(_INSERT, rows)
            transaction.execute(_ADD, {"more": sum(one.bytes for one in unknown)})
        return len(rows)

    def restate(self, transaction: Transaction) -> None:
        """State the sum anew, which an older version or a restored database may have left wrong."""
        transaction.execute(_LOCK, {})
        transaction.execute(_RESTATE, {})

    def expired(self, connection: Connection, after: Expired, limit: int, *, spared: float = 0.0) -> list[Expired]:
        """The images whose time was over `spared` seconds ago, from the oldest on, beyond `after`."""
        values = {"now": self._clock(), "spared": spared, "limit": limit}
        rows = connection.execute(_EXPIRED, values | {"after_time": after.at, "after_path": after.path})
        return [Expired(row.expires_at, row.path) for row in rows]

    def used(self, connection: Connection) -> int:
        """The bytes that all images take together."""
        return int(connection.execute(_USED).scalar() or 0)

    def of_request(self, connection: Connection, request_id: str) -> list[str]:
        """The paths of the images of a request."""
        return list(connection.execute(_PATHS_OF, {"of_request": request_id}).scalars())
