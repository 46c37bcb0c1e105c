"""`spillway requests`: what was asked for, one request or many, also while they go on, and getting their images.

Always asks a gateway, which owns the images and the links to them (0132).
"""

from __future__ import annotations

import json
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

import typer

from app.cli.answers import Delivery
from app.cli.exits import CommandError
from app.cli.gateway import JSONObject, open_session, place_of
from app.cli.options import ApiKey, AsJson, BaseUrl, Force
from app.cli.tables import Column, is_wide, print_facts, print_json, print_rows, say
from app.cli.targets import Target, choose_target, try_target
from app.cli.texts import plain, show_money, show_seconds, show_time, whole

if TYPE_CHECKING:
    from app.cli.session import Session

_LOOK_SECONDS = 1.0
_PAGE = 100
_REMEMBERED = 10_000
"""Requests whose last state is known while they are followed; older ones have ended long ago."""
_COLLECTABLE = frozenset({"completed", "partial"})
_OPEN = frozenset({"queued", "processing"})
_COLUMNS = (
    Column("id"),
    Column("begun"),
    Column("status"),
    Column("model", cuts=True),
    Column("images", number=True, only_wide=True),
    Column("cost", number=True),
    Column("took", number=True, only_wide=True),
)
_STATUS = "queued, processing, completed, partial or failed."


def requests(
    request_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="One request. Default: the newest.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what changes; one: until it ends.")
    ] = False,
    key: Annotated[
        str | None, typer.Option(help="Of this key, by id or name; needs the key of an administrator.")
    ] = None,
    status: Annotated[str | None, typer.Option(help=_STATUS)] = None,
    model: Annotated[str | None, typer.Option(help="With this model, as it was named or executed.")] = None,
    limit: Annotated[int, typer.Option(help="How many, the newest.", min=1, max=_PAGE)] = 20,
    collect: Annotated[bool, typer.Option("--collect", help="Get the images of those that are shown.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="With --collect: the folder.")] = None,
    force: Force = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Show requests, follow them, or collect their images."""
    asked = {"key": key, "status": status, "model": model, "limit": str(limit)}
    query = {name: value for name, value in asked.items() if value}
    with open_session(base_url, api_key) as session:
        try:
            shown = _shown(session, request_id, query, follow=follow, as_json=as_json)
        except KeyboardInterrupt:
            # How following many is ended.
            raise typer.Exit(0) from None
        if collect:
            _collect(session, shown, output, force=force)


def _shown(
    session: Session, request_id: str | None, query: dict[str, str], *, follow: bool, as_json: bool
) -> list[JSONObject]:
    """Print what is asked for; what was printed."""
    if request_id is not None:
        record = _until_ended(session, request_id) if follow else _find(session, request_id)
        _print_one(record, as_json=as_json)
        return [record]
    if follow:
        for record in _changes(session, query):
            _print_line(record, as_json=as_json)
        return []
    page = session.get(f"/requests?{urlencode(query)}")
    if as_json:
        print_json(page)
    else:
        print_rows(_COLUMNS, (_cells(one) for one in page["data"]))
    return [*page["data"]]


def _find(session: Session, request_id: str) -> JSONObject:
    return session.get(place_of("requests", request_id))


def _until_ended(session: Session, request_id: str) -> JSONObject:
    """The request once it has ended; each state on the way goes to standard error."""
    last = None
    while True:
        record = _find(session, request_id)
        if record["status"] not in _OPEN:
            return record
        if record["status"] != last:
            last = record["status"]
            say(f"{request_id} {last}", errors=True)
        time.sleep(_LOOK_SECONDS)


def _changes(session: Session, query: dict[str, str]) -> Iterator[JSONObject]:
    """The newest requests, the oldest of them first, and from then on each that is new or has changed."""
    # In the order in which they were first seen, so that the oldest are forgotten first.
    known: OrderedDict[str, str] = OrderedDict()
    first = True
    while True:
        for record in reversed(_news(session, query, known, one_page=first)):
            if known.get(record["id"]) != record["status"]:
                known[record["id"]] = record["status"]
                yield record
        while len(known) > _REMEMBERED:
            known.popitem(last=False)
        first = False
        time.sleep(_LOOK_SECONDS)


def _news(session: Session, query: dict[str, str], known: OrderedDict[str, str], *, one_page: bool) -> list[JSONObject]:
    """The newest requests down to those that were known to have ended, and those that were still open."""
    page = session.get(f"/requests?{urlencode(query if one_page else query | {'limit': str(_PAGE)})}")
    found: list[JSONObject] = page["data"]
    # More came within one pause than a page holds.
    while not one_page and page["has_more"] and found[-1]["id"] not in known:
        page = session.get(f"/requests?{urlencode(query | {'limit': str(_PAGE), 'starting_after': found[-1]['id']})}")
        found += page["data"]
    if not one_page and "status" not in query:
        listed = {record["id"] for record in found}
        running = [one for one, state in known.items() if state in _OPEN and one not in listed]
        # Older than the page, and not ended when last seen.
        found += [_find(session, one) for one in reversed(running)]
    if not one_page:
        oldest = next(iter(known), None)
        ids = [record["id"] for record in found]
        # What is older than the first one shown was not asked for.
        found = found[: ids.index(oldest) + 1] if oldest in ids else found
    return found


def _collect(session: Session, records: list[JSONObject], output: Path | None, *, force: bool) -> None:
    """Write the images of these requests; one whose images are gone keeps none of the others from coming."""
    target = choose_target(output, None, force=force, count=len(records))
    # Of one request it may be a file; of several it is a folder, which may be new.
    target = Target(output or Path(), None, None, force) if len(records) > 1 else target
    try_target(target)
    failed = 0
    for record in records:
        if record["status"] not in _COLLECTABLE:
            continue
        try:
            delivery = Delivery(session, target, as_json=False)
            delivery.take(session.collect(record["id"]))
            delivery.end()
        except CommandError as error:
            failed += 1
            say(f"{record['id']}: {error}", errors=True)
    if failed:
        raise typer.Exit(1)


def _print_one(record: JSONObject, *, as_json: bool) -> None:
    if as_json:
        print_json(record)
        return
    print_facts(facts_of(record))


def facts_of(record: JSONObject) -> Iterator[tuple[str, str]]:
    """What is known of a request, what is not known is empty."""
    known = record.get("known_cost")
    yield "id", plain(record["id"])
    yield "status", plain(record["status"])
    yield "key", plain(record.get("key"))
    yield "begun", show_time(record["created_at"])
    yield "ended", show_time(record["completed_at"])
    yield "took", _took(record)
    yield "endpoint", plain(record["endpoint"])
    yield "model", f"{plain(record['model'])} ({plain(record['executed_model'])})"
    yield "images", _images(record)
    yield "cost", _cost(record) + (f" ({show_money(known)} known)" if known else "")
    yield "estimated", "" if record["estimated_cost"] is None else show_money(record["estimated_cost"])
    yield "user", plain(record["user"]) if record["user"] else ""
    error = record.get("error")
    yield "error", f"{plain(error['code'])}: {whole(error['message'])}" if error else ""
    for adjustment in record["adjustments"]:
        yield "adjusted", f"{plain(adjustment['param'])} {adjustment['mode']}: {whole(adjustment['reason'])}"
    for failure in record["errors"]:
        yield "missing", f"image {failure['index'] + 1}: {whole(failure['message'])}"
    for task in record["task_uuids"]:
        yield "task", plain(task)


def _cells(record: JSONObject) -> list[str]:
    begun = show_time(record["created_at"], brief=not is_wide())
    texts = [plain(record["id"]), begun, plain(record["status"]), plain(record["model"])]
    return [*texts, _images(record), _cost(record), _took(record)]


def _print_line(record: JSONObject, *, as_json: bool) -> None:
    # Each at once, also into a pipe.
    line = json.dumps(record) if as_json else "  ".join(cell for cell in _cells(record) if cell)
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _images(record: JSONObject) -> str:
    return f"{len(record['images'])}/{record['n']}"


def _cost(record: JSONObject) -> str:
    return "" if record["status"] in _OPEN else show_money(record["cost"])


def _took(record: JSONObject) -> str:
    milliseconds = record["duration_ms"]
    return "" if milliseconds is None else show_seconds(milliseconds / 1000)
