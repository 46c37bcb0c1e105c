"""What every error is: its status, its words, and what they cost; see the tree in the package."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Self

MAX_RETRY_AFTER_SECONDS = 60
"""OpenAI's SDKs sleep through, or give up on, anything longer."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a request that failed has cost, in dollars: all of it, None where a part is unknown, and what is known."""

    cost: Decimal | None
    known_cost: Decimal


class GatewayError(Exception):
    """The base of every error that becomes an answer.

    `retry_after` is in seconds (1 to 60); `should_retry` becomes the `x-should-retry` header that
    OpenAI's SDKs obey, and None leaves the decision to the status code. An error is never changed once it is raised.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str] = "internal_error"
    is_transient: ClassVar[bool] = False
    """Whether the same request may succeed a little later."""
    may_have_spent: ClassVar[bool] = False
    """Whether an image may have been paid for although the caller has none."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        provider_code: str | None = None,
        retry_after: int | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.default_code
        self.provider_code = provider_code
        # Bounded both ways: SDKs ignore 0 and give up on minutes.
        self.retry_after = None if retry_after is None else max(1, min(retry_after, MAX_RETRY_AFTER_SECONDS))
        # SDKs retry every 5xx by themselves; behind one of them an image may exist that a retry would buy again (0006).
        self.should_retry = should_retry

    def renamed(self, names: Mapping[str, str]) -> Self:
        """The same error, which speaks of fields by what the caller called them; `names` holds these by OpenAI's."""
        param, message = self.param, self.message
        base, bracket, rest = (param or "").partition("[")
        if base in names:
            param = f"{names[base]}{bracket}{rest}"
        for own, called in names.items():
            message = message.replace(f"`{own}`", f"`{called}`")
            message = message.replace(f"'{own}' parameter", f"'{called}' parameter")
        # Not by the class's own constructor, which may write its message itself.
        copy = type(self).__new__(type(self), message)
        copy.__dict__.update(self.__dict__, message=message, param=param)
        return copy
