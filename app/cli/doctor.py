"""`spillway doctor ID`: all that a gateway knows of a request, what that means, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import typer

from app.cli.gateway import JSONObject, open_session, place_of
from app.cli.options import ApiKey, AsJson, BaseUrl
from app.cli.requests import facts_of
from app.cli.tables import plain_console, print_facts, print_json, say
from app.cli.texts import whole

_OPEN = frozenset({"queued", "processing"})
ADVICE: Mapping[str, str] = {
    "budget_exceeded": "The budget of the key does not suffice: wait until it is renewed, or have it raised.",
    "broken_image": "Runware sent no whole image: send the request again with another Idempotency-Key.",
    "content_policy_violation": "Change the prompt or the images: sent again, it is refused again.",
    "image_unavailable": "Runware did not give the image in time: send the request again.",
    "insufficient_quota": "Add credit to the Runware account that pays, then send the request again.",
    "internal_error": "This is a fault of the gateway: give its operator the id of the request.",
    "invalid_api_key": "Runware refuses the key of this caller: send one that it takes.",
    "invalid_value": "Send the field that the error names in the form that it gives.",
    "not_started": "Nothing was sent and nothing bought: send the request again.",
    "overloaded": "Nothing was sent: send the request again later.",
    "provider_authentication_error": "The operator of the gateway must set a valid RUNWARE_API_KEY.",
    "provider_error": "Runware failed: send the request again, perhaps with another model.",
    "provider_timeout": "Runware took too long: send the request again, perhaps with another model.",
    "provider_unavailable": "Runware could not be reached: send the request again.",
    "rate_limit_exceeded": "Send the request again later, or fewer at once.",
    "restarting": "Send the same request again: it joins what was bought.",
    "unknown_parameter": "Runware does not know the field that the error names on this model: leave it out.",
    "unpriced_model": "The key allows no model whose price is unknown: use another one.",
}
"""What to do about an error with which a request has ended, by its code."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A sentence, and the command that it ends with, if any."""

    said: str
    command: str = ""

    def __str__(self) -> str:
        return f"{self.said} {self.command}".rstrip()


def doctor(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the request, req_….")],
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Tell all that is known of a request, and what to do."""
    with open_session(base_url, api_key) as session:
        record = session.get(place_of("requests", request_id))
        # Of the gateway as a whole: what keeps all requests waiting keeps this one, too.
        problems = [Advice(str(one)) for one in session.glance("/readyz").get("problems", [])]
    advice = [*advise(record), *problems]
    if as_json:
        print_json({**record, "advice": [str(one) for one in advice]})
        return
    print_facts([*facts_of(record), *_attempts(record), *_delivery(record)])
    print()  # noqa: T201 - output
    for one in advice:
        say(whole(one.said))
        if one.command:
            # On a line of its own, which nothing breaks: it is there to be copied.
            plain_console().print(whole(one.command))


def advise(record: JSONObject) -> Iterator[Advice]:
    """What the state of a request means for whoever asked for it, and what to do."""
    request_id = record["id"]
    if record["status"] in _OPEN:
        yield Advice(
            "It is being made. Nothing is to be done; to see its end:", f"spillway requests {request_id} --follow"
        )
        return
    error = record.get("error")
    if error is not None:
        said = "The message says why; sent again as it is, it would most likely fail again."
        yield Advice(ADVICE.get(error["code"], said))
    if record["status"] == "partial":
        yield Advice("Some images failed; those that exist were paid for, the others were not asked for again.")
    if record["status"] in {"completed", "partial"}:
        told = "They were delivered" if record["delivered"] else "Nobody has taken its images yet"
        yield Advice(f"{told}. To get them while they are kept:", f"spillway collect {request_id} -o FILE")
    if record["cost"] is None:
        yield Advice("Runware has not said all of what it cost; it is asked again, for some days.")
    if (record.get("webhook") or {}).get("state") == "failed":
        yield Advice("Its webhook was not accepted and is not sent again: see that the address answers with 2xx.")


def _attempts(record: JSONObject) -> Iterator[tuple[str, str]]:
    for one in record["attempts"]:
        took = f", {one['duration_ms']} ms" if one.get("duration_ms") is not None else ""
        said = f"{one.get('kind')} of {one.get('task_id')}: {one.get('outcome')} {one.get('status') or ''}".rstrip()
        yield "attempt", whole(f"{said}{took}")


def _delivery(record: JSONObject) -> Iterator[tuple[str, str]]:
    yield "delivered", "yes" if record["delivered"] else "no"
    webhook = record.get("webhook")
    if webhook:
        yield "webhook", whole(", ".join(f"{name} {value}" for name, value in webhook.items() if value is not None))
    if record.get("client_request_id"):
        yield "client's id", whole(record["client_request_id"])
