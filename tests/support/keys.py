"""Keys of a database, made by hand."""

import hashlib
from dataclasses import replace

from sqlalchemy import Engine, update

from app.access.budgets import restate_account
from app.access.key_format import ID_BYTES, SECRET_BYTES, digest_of, make_id, make_key
from app.access.key_store import StoredKey, insert_key
from app.database.key_tables import api_keys
from app.database.transaction import Transaction
from app.domain.caller import ApiKey


def numbered_key(number: int) -> tuple[str, str]:
    """The id and the text of a key that is the same in every run."""
    random = hashlib.sha512(f"key {number}".encode()).digest()
    key_id = make_id(random[:ID_BYTES])
    return key_id, make_key(key_id, random[-SECRET_BYTES:])


def put_key(engine: Engine, number: int = 1, previous: tuple[str, float] | None = None, **known: object) -> str:
    """Write a key; its text. `previous` is the text of its secret before, and how long that opens."""
    key_id, text = numbered_key(number)
    key = replace(ApiKey(key_id, f"key {number}", text[-4:], created_at=float(number)), **known)
    before = (None, None) if previous is None else (digest_of(previous[0]), previous[1])
    with engine.begin() as connection:
        insert_key(Transaction(connection), StoredKey(key, digest_of(text), *before))
    return text


def put_paying_key(engine: Engine, number: int = 1, **known: object) -> str:
    """Write a key with its account, as an administrator's does; its text."""
    text = put_key(engine, number, **known)
    with engine.begin() as connection:
        restate_account(Transaction(connection), numbered_key(number)[0], float(number))
    return text


def change_key(engine: Engine, number: int, **columns: object) -> None:
    """Change the row of a key as another process would."""
    with engine.begin() as connection:
        connection.execute(update(api_keys).where(api_keys.c.id == numbered_key(number)[0]).values(**columns))
