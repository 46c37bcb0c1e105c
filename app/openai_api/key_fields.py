"""What administrators ask of keys, read from JSON: its fields, and pages of keys and of the audit log. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from app.catalog.modes import Mode
from app.domain.caller import Limits, Period
from app.domain.key_records import AuditPage, KeyDraft, KeyPage, KeyStatus
from app.domain.words import JSONValue
from app.errors import InvalidRequestError
from app.openai_api.parse import parse_request
from app.openai_api.readers import read_boolean, read_choice, read_integer, read_seconds, read_text, wrong
from app.openai_api.vocabulary import LONGEST_TTL, SHORTEST_TTL
from app.settings.durations import FORMS, read_duration

FIELDS = (
    "name",
    "budget",
    "period",
    "rpm",
    "images_per_minute",
    "concurrency",
    "models",
    "expires_at",
    "forbid_unpriced",
    "defaults",
    "admin",
    "webhook_url",
    "media_ttl",
    "result_ttl",
)
DEFAULT_GRACE = 86_400.0
_MOST, _USUAL = 100, 20
LONGEST_NAME = 100
LARGEST_NUMBER = 1_000_000
LARGEST_BUDGET = Decimal(1_000_000_000)
_PLACES = 9
MOST_GLOBS, _LONGEST_GLOB = 200, 200
_LONGEST_DEFAULTS, _LONGEST_URL = 16_384, 2000
_LONGEST_LIFE = 100 * 365 * 86_400.0
_LONGEST_GRACE = 365 * 86_400.0
# What one request is about, and what decides how it is carried out, is no default of all.
_NO_DEFAULTS = frozenset({"prompt", "positivePrompt", "image", "mask", "markup", "stream", "user"})


@dataclass(frozen=True, slots=True)
class KeyFields:
    """The fields of a key that a body names: absent ones stay as they are, null is the value a new key has.

    `now` is unix seconds.
    """

    fields: Mapping[str, JSONValue]
    now: float

    def apply(self, draft: KeyDraft) -> KeyDraft:
        """The draft with these fields, raising InvalidRequestError for the first that is wrong."""
        refuse_unknown(self.fields, FIELDS, "a field of a key")
        return KeyDraft(
            name=self._name(draft.name),
            is_admin=bool(read_boolean(self.fields, "admin")) if "admin" in self.fields else draft.is_admin,
            expires_at=self._end() if "expires_at" in self.fields else draft.expires_at,
            limits=self._limits(draft.limits),
            defaults=self._defaults() if "defaults" in self.fields else draft.defaults,
            webhook_url=self._webhook() if "webhook_url" in self.fields else draft.webhook_url,
        )

    def _name(self, before: str) -> str:
        name = read_text(self.fields, "name")
        if name is None:
            if before or "name" not in self.fields:
                return before
            message = "`name` is missing: say whose key it is."
            raise InvalidRequestError(message, param="name", code="missing_required_parameter")
        # A name stands in addresses, and where an id may stand as well.
        if len(name) > LONGEST_NAME or not name.isprintable() or "/" in name or name.startswith("key_"):
            expected = f"up to {LONGEST_NAME} printable characters without a slash, not beginning with key_"
            raise wrong("name", expected, name)
        return name

    def _limits(self, before: Limits) -> Limits:
        limits, given = before, self.fields
        if "budget" in given:
            limits = replace(limits, budget=self._budget())
        if "period" in given:
            period = read_choice(given, "period", [one.value for one in Period])
            limits = replace(limits, period=Period(period or Period.TOTAL))
        if "rpm" in given:
            limits = replace(limits, rpm=read_integer(given, "rpm", 1, LARGEST_NUMBER))
        if "images_per_minute" in given:
            limits = replace(limits, images_per_minute=read_integer(given, "images_per_minute", 1, LARGEST_NUMBER))
        if "concurrency" in given:
            limits = replace(limits, concurrency=read_integer(given, "concurrency", 1, LARGEST_NUMBER))
        if "models" in given:
            limits = replace(limits, models=self._models())
        if "forbid_unpriced" in given:
            limits = replace(limits, forbid_unpriced=bool(read_boolean(given, "forbid_unpriced")))
        if "media_ttl" in given:
            limits = replace(limits, media_ttl=read_seconds(given, "media_ttl", SHORTEST_TTL, LONGEST_TTL))
        if "result_ttl" in given:
            limits = replace(limits, result_ttl=read_seconds(given, "result_ttl", SHORTEST_TTL, LONGEST_TTL))
        return limits

    def _budget(self) -> Decimal | None:
        value = self.fields["budget"]
        if value is None or value == "":
            return None
        try:
            budget = Decimal("NaN") if isinstance(value, bool | list | dict) else Decimal(str(value).strip())
        except InvalidOperation:
            budget = Decimal("NaN")
        places = budget.as_tuple().exponent
        if not (isinstance(places, int) and places >= -_PLACES and 0 <= budget <= LARGEST_BUDGET):
            expected = f"dollars from 0 to {LARGEST_BUDGET}, with up to {_PLACES} digits behind the point"
            raise wrong("budget", expected, value)
        return budget

    def _models(self) -> tuple[str, ...]:
        value = self.fields["models"]
        listed = value.split(",") if isinstance(value, str) else [] if value is None else value
        if not isinstance(listed, list):
            raise wrong("models", "a list of names of models, in which * stands for anything", value)
        globs = [one.strip() if isinstance(one, str) else "" for one in listed]
        globs = [one for one in globs if one] if isinstance(value, str) else globs
        if len(globs) > MOST_GLOBS or not all(_is_glob(one) for one in globs):
            expected = f"up to {MOST_GLOBS} names of models, in which * stands for anything"
            raise wrong("models", expected, value)
        return tuple(dict.fromkeys(globs))

    def _end(self) -> float | None:
        value = self.fields["expires_at"]
        if value is None or value == "":
            return None
        end = _read_moment(value, self.now)
        if end is None or not self.now < end <= self.now + _LONGEST_LIFE:
            expected = "a moment to come: unix seconds, a date like 2030-12-31, or a duration like 90d"
            raise wrong("expires_at", expected, value)
        return end

    def _defaults(self) -> Mapping[str, JSONValue]:
        value = self.fields["defaults"]
        if value is None:
            return {}
        if not isinstance(value, dict) or len(json.dumps(value)) > _LONGEST_DEFAULTS:
            raise wrong("defaults", f"an object of fields, of up to {_LONGEST_DEFAULTS} characters", value)
        kept = {name: one for name, one in value.items() if one is not None}
        refused = sorted(_NO_DEFAULTS.intersection(kept))
        if refused:
            message = f"`{refused[0]}` belongs to one request, and can be no default of a key."
            raise InvalidRequestError(message, param=f"defaults.{refused[0]}")
        try:
            # As a request would be that says nothing else: a wrong default would fail in each of them.
            parse_request(Mode.GENERATE, {**kept, "prompt": "a default"})
        except InvalidRequestError as error:
            raise InvalidRequestError(error.message, param=f"defaults.{error.param}", code=error.code) from None
        return kept

    def _webhook(self) -> str | None:
        url = read_text(self.fields, "webhook_url")
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable()
        except ValueError:
            is_address = False
        # Where it leads is judged when it is called, as for every webhook.
        if not is_address or len(url) > _LONGEST_URL:
            raise wrong("webhook_url", "an https address", url)
        return url


def read_grace(fields: Mapping[str, JSONValue]) -> float:
    """Seconds for which the secret before a rotation opens."""
    refuse_unknown(fields, ("grace",), "a field of a rotation")
    value = fields.get("grace")
    if value is None or value == "":
        return DEFAULT_GRACE
    try:
        grace = -1.0 if isinstance(value, bool | list | dict) else read_duration(str(value))
    except ValueError:
        grace = -1.0
    if not 0 <= grace <= _LONGEST_GRACE:
        raise wrong("grace", f"{FORMS}, at most 365d", value)
    return grace


def read_key_page(query: Mapping[str, str]) -> KeyPage:
    """Which keys a query asks for."""
    refuse_unknown(query, ("limit", "starting_after", "ending_before", "status"), "a filter here")
    status = read_choice(query, "status", [one.value for one in KeyStatus])
    after, before = _read_cursors(query)
    limit = read_integer(query, "limit", 1, _MOST) or _USUAL
    return KeyPage(limit, after, before, None if status is None else KeyStatus(status))


def read_audit_page(query: Mapping[str, str]) -> AuditPage:
    """Which entries of the audit log a query asks for."""
    names = ("limit", "starting_after", "ending_before", "actor", "action", "target")
    refuse_unknown(query, names, "a filter here")
    _read_cursors(query)
    last = 2**62
    return AuditPage(
        read_integer(query, "limit", 1, _MOST) or _USUAL,
        read_integer(query, "starting_after", 1, last),
        read_integer(query, "ending_before", 1, last),
        read_text(query, "actor"),
        read_text(query, "action"),
        read_text(query, "target"),
    )


def refuse_unknown(fields: Mapping[str, JSONValue], names: Sequence[str], what: str) -> None:
    """Raise InvalidRequestError for a name that means nothing: a limit in it would not hold."""
    unknown = next((name for name in fields if name not in names), None)
    if unknown is not None:
        message = f"`{unknown[:LONGEST_NAME]}` is not {what}. There are {', '.join(names)}."
        raise InvalidRequestError(message, param=unknown[:LONGEST_NAME], code="unknown_parameter")


def _read_cursors(query: Mapping[str, str]) -> tuple[str | None, str | None]:
    after, before = read_text(query, "starting_after"), read_text(query, "ending_before")
    if after is not None and before is not None:
        raise InvalidRequestError("`starting_after` and `ending_before` exclude each other.", param="ending_before")
    return after, before


def _is_glob(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_GLOB and text.isprintable()


def _read_moment(value: JSONValue, now: float) -> float | None:
    """A moment in unix seconds, given as that, as a date, or as how far away it is."""
    if isinstance(value, bool | list | dict) or value is None:
        return None
    text = str(value).strip()
    try:
        return now + read_duration(text) if text[-1:].isalpha() and text[-1:] != "Z" else float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
