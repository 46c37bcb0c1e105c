"""Which of several kinds of answer a caller prefers, by its `Accept` headers."""

from starlette.datastructures import Headers

HTML, JSON, CSV = "text/html", "application/json", "text/csv"


def prefers(headers: Headers, kind: str) -> bool:
    """Whether `kind` is named, and preferred to JSON, which is what anything else means."""
    weights = {JSON: 0.0, kind: 0.0}
    for part in ",".join(headers.getlist("accept")).split(","):
        named, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if named in weights:
            weights[named] = _weight(parameters)
    return weights[kind] > weights[JSON]


def _weight(parameters: list[str]) -> float:
    for one in parameters:
        name, _, value = one.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
