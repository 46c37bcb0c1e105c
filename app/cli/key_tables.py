"""How `spillway keys` prints keys: a table of all, one fact a line of one, and a new secret once."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from app.cli.gateway import JSONObject
from app.cli.tables import Column, print_facts, print_json, print_rows, say


def show_secret(answer: JSONObject, *, as_json: bool) -> None:
    """A key with its text: on a line of its own, so that it can be copied or taken by a script."""
    if as_json:
        print_json(answer)
        return
    say(f"{answer['name']} ({answer['id']}) has this key. It is not shown again.", errors=True)
    print(answer["key"])  # noqa: T201 - output


def show_key(answer: JSONObject, *, as_json: bool) -> None:
    """One key, one fact a line; what is not set gets none."""
    if as_json:
        print_json(answer)
        return
    budget = answer["budget"]
    facts = {
        "id": answer["id"],
        "name": answer["name"],
        "key": f"ends in {answer['last_four']}",
        "status": answer["status"],
        "admin": "yes" if answer["admin"] else None,
        "created": _time(answer["created_at"]),
        "expires": _time(answer["expires_at"]),
        "revoked": _time(answer["revoked_at"]),
        "last used": _time(answer["last_used_at"]),
        "budget": _budget(budget),
        "spent": _money(budget["spent"]),
        "reserved": _money(budget["reserved"]) if budget["reserved"] else None,
        "left": _money(budget["remaining"]),
        "resets": _time(budget["resets_at"]),
        "requests per minute": answer["rpm"],
        "images per minute": answer["images_per_minute"],
        "requests at once": answer["concurrency"],
        "models": ", ".join(answer["models"]),
        "unpriced models": "refused" if answer["forbid_unpriced"] else None,
        "defaults": json.dumps(answer["defaults"]) if answer["defaults"] else None,
        "warnings go to": answer["webhook_url"],
        "links live": _seconds(answer["media_ttl"]),
        "images can be asked for": _seconds(answer["result_ttl"]),
    }
    print_facts((name, str(value)) for name, value in facts.items() if value)


def show_keys(found: Sequence[JSONObject]) -> None:
    """All keys, one a line."""
    columns = [Column("id"), Column("name", folds=True), Column("status"), Column("ends in", only_wide=True)]
    money = [Column("budget", folds=True), Column("left", number=True), Column("last used", folds=True)]
    print_rows([*columns, *money], (_cells(one) for one in found))


def _cells(one: JSONObject) -> list[str]:
    budget = one["budget"]
    name = f"{one['name']} (admin)" if one["admin"] else one["name"]
    cells = [one["id"], name, one["status"], one["last_four"], _budget(budget), _money(budget["remaining"])]
    return [*(cell or "" for cell in cells), _time(one["last_used_at"]) or "never"]


def _budget(budget: JSONObject) -> str | None:
    limit = _money(budget["limit"])
    return None if limit is None else f"{limit} {_EACH[budget['period']]}"


_EACH = {"day": "a day", "week": "a week", "month": "a month", "total": "in all"}


def _money(dollars: float | None) -> str | None:
    return None if dollars is None else f"${dollars:.9f}".rstrip("0").rstrip(".")


def _seconds(seconds: int | None) -> str | None:
    return None if seconds is None else f"{seconds} s"


def _time(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
