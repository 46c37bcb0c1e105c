"""A request as the handlers of the hot routes see it: Starlette's, whose headers are found without a search."""

from collections.abc import Mapping
from typing import TypeVar, overload

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from app.server.delivery import RequestState

_T = TypeVar("_T")


class IndexedHeaders(Headers):
    """Finds the first header of a name at once; Starlette's goes through all of them for each question.

    `first` has the first of each name, which is in lower case.
    """

    def __init__(self, raw: list[tuple[bytes, bytes]], first: Mapping[bytes, bytes]) -> None:
        super().__init__(raw=raw)
        self._first = first

    def __getitem__(self, key: str) -> str:
        return self._first[key.lower().encode("latin-1")].decode("latin-1")

    @overload
    def get(self, key: str, /) -> str | None: ...
    @overload
    def get(self, key: str, /, default: str | _T) -> str | _T: ...
    def get(self, key: str, /, default: str | _T | None = None) -> str | _T | None:
        """Like any mapping's, without an exception for what is absent."""
        found = self._first.get(key.lower().encode("latin-1"))
        return default if found is None else found.decode("latin-1")

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower().encode("latin-1") in self._first


class GatewayRequest(Request):
    """One request; nothing of it is read before it is asked for."""

    # In the place of a property, which asks at each use whether they were built.
    headers: Headers = Headers()

    def __init__(self, scope: Scope, receive: Receive, send: Send, state: RequestState) -> None:
        super().__init__(scope, receive, send)
        self.headers = IndexedHeaders(scope["headers"], state.headers)
