"""How a key stands, in the headers that OpenAI's clients know and one of our own. Pure."""

import math

from app.access.account import Account
from app.access.rate_limits import Bucket, image_bucket, request_bucket
from app.domain.money import from_nanos

Headers = tuple[tuple[bytes, bytes], ...]
_MINUTE = 60


def limit_headers(account: Account) -> Headers:
    """What an answer says of the limits and the budget of its key; nothing of what is not limited."""
    headers = [
        *_bucket_headers("requests", request_bucket(account.tokens, account.limits)),
        *_bucket_headers("images", image_bucket(account.tokens, account.limits)),
    ]
    if account.remaining is not None:
        headers.append((b"x-spillway-budget-remaining", f"{from_nanos(account.remaining):f}".encode()))
    return tuple(headers)


def _bucket_headers(noun: str, bucket: Bucket | None) -> Headers:
    if bucket is None:
        return ()
    said = (("limit", str(bucket.limit)), ("remaining", str(bucket.remaining)), ("reset", shown_seconds(bucket.reset)))
    return tuple((f"x-ratelimit-{what}-{noun}".encode(), value.encode()) for what, value in said)


def shown_seconds(seconds: float) -> str:
    """A time as OpenAI writes it in these headers: `340ms`, `8.5s`, `1m0s`."""
    milliseconds = math.ceil(seconds * 1000 - 1e-3)
    if milliseconds < 1000:  # noqa: PLR2004 - a second
        return f"{max(milliseconds, 0)}ms"
    minutes, rest = divmod(milliseconds / 1000, _MINUTE)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"
