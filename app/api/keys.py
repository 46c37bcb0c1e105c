"""Keys, and what was done with them, for administrators. Keys are shown once, when they are made or rotated."""

import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from app.access.audit import actor_of
from app.access.key_ring import KeyRing
from app.domain.caller import Caller
from app.domain.key_records import KeyView
from app.domain.words import JSONValue
from app.openai_api.json_body import StructureGuard, decode_object
from app.openai_api.key_fields import KeyFields, read_audit_page, read_grace, read_key_page
from app.openai_api.key_render import audit_members, keys_members, render_caller, render_key, render_members
from app.server.body import read_body

_LARGEST_BODY = 64 * 1024
_JSON = "application/json"
NOT_STORED = {"Cache-Control": "no-store"}
"""For answers that show a secret: no cache of anybody's keeps them."""


class KeyRoutes:
    """`/keys/…`, `/key` and `/audit`. `clock` is unix seconds."""

    def __init__(self, ring: KeyRing, clock: Callable[[], float] = time.time) -> None:
        self._admin = ring.admin
        self._cache = ring.cache
        self._audit = ring.audit
        self._clock = clock

    async def create_key(self, request: Request, caller: Caller) -> Response:
        """Make a key. The answer shows it, this once."""
        wanted = KeyFields(await _read_fields(request), self._clock())
        made = await self._admin.create(actor_of(caller), wanted)
        self._cache.forget(made.view.key.id)
        return Response(render_key(made.view, made.text), headers=NOT_STORED, media_type=_JSON)

    async def list_keys(self, request: Request, _: Caller) -> Response:
        """The newest keys, in pages."""
        page = read_key_page(request.query_params)
        views, more = await self._admin.page(page)
        return Response(render_members(keys_members(views, page, more=more)), media_type=_JSON)

    async def retrieve_key(self, request: Request, _: Caller) -> Response:
        """One key, by its id or its name."""
        return _answer(await self._admin.show(_reference(request)))

    async def retrieve_own(self, _: Request, caller: Caller) -> Response:
        """Who calls, what the gateway takes it for, and how its own key stands."""
        view = None if caller.key is None else await self._admin.show(caller.key.id)
        return Response(render_caller(caller, view), headers=NOT_STORED, media_type=_JSON)

    async def update_key(self, request: Request, caller: Caller) -> Response:
        """Change the fields of a key that the body names."""
        wanted = KeyFields(await _read_fields(request), self._clock())
        return self._changed(await self._admin.update(actor_of(caller), _reference(request), wanted))

    async def rotate_key(self, request: Request, caller: Caller) -> Response:
        """Give a key another secret, which the answer shows this once; the old one lives on for `grace`."""
        grace = read_grace(await _read_fields(request))
        made = await self._admin.rotate(actor_of(caller), _reference(request), grace)
        self._cache.forget(made.view.key.id)
        return Response(render_key(made.view, made.text), headers=NOT_STORED, media_type=_JSON)

    async def revoke_key(self, request: Request, caller: Caller) -> Response:
        """End a key. What it asked for stays."""
        return self._changed(await self._admin.revoke(actor_of(caller), _reference(request)))

    async def list_audit(self, request: Request, _: Caller) -> Response:
        """What administrators did, the newest first, in pages."""
        page = read_audit_page(request.query_params)
        entries, more = await self._audit.page(page)
        return Response(render_members(audit_members(entries, page, more=more)), media_type=_JSON)

    def _changed(self, view: KeyView) -> Response:
        self._cache.forget(view.key.id)
        return _answer(view)


def _answer(view: KeyView) -> Response:
    return Response(render_key(view), media_type=_JSON)


def _reference(request: Request) -> str:
    return str(request.path_params["key_id"])


async def _read_fields(request: Request) -> dict[str, JSONValue]:
    """The object in the body; none where there is no body."""
    body, guard = bytearray(), StructureGuard()
    async for chunk in read_body(request, _LARGEST_BODY):
        guard.feed(chunk)
        body += chunk
    return decode_object(body) if body.strip() else {}
