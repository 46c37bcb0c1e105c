"""Finds addresses and data URIs anywhere inside the fields a caller passes on to the provider. Pure."""

import re
from collections.abc import Iterator, Mapping

from app.domain.words import JSONValue

_AROUND = bytes(range(33)).decode()
_SCHEME = re.compile(r"https?:[/\\]", re.IGNORECASE)
_DROPPED = str.maketrans("", "", "\t\r\n")
"""What programs that fetch ignore inside of an address: with it, an inner one is none the less inner."""


def addresses_in(fields: Mapping[str, JSONValue]) -> Iterator[tuple[str, str]]:
    """Each http(s) address with the caller's path to it, like `lora[1].model`."""
    return ((path, text.strip(_AROUND)) for path, text in _texts_in(fields) if _is_address(text))


def data_uris_in(fields: Mapping[str, JSONValue]) -> Iterator[tuple[str, str]]:
    """Each data URI with the caller's path to it."""
    return ((path, text) for path, text in _texts_in(fields) if text[:5].lower() == "data:")


def _texts_in(fields: Mapping[str, JSONValue]) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        yield from _walk(name, value)


def with_addresses(fields: Mapping[str, JSONValue], replaced: Mapping[str, str]) -> dict[str, JSONValue]:
    """The fields with other texts at some paths."""
    return {name: _rebuild(name, value, replaced) for name, value in fields.items()}


def _walk(path: str, value: JSONValue) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        # With the path, so that an error names the place the caller wrote it in.
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _walk(f"{path}.{name}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _walk(f"{path}[{index}]", inner)


def _rebuild(path: str, value: JSONValue, replaced: Mapping[str, str]) -> JSONValue:
    if isinstance(value, str):
        return replaced.get(path, value)
    if isinstance(value, dict):
        return {name: _rebuild(f"{path}.{name}", inner, replaced) for name, inner in value.items()}
    if isinstance(value, list):
        return [_rebuild(f"{path}[{index}]", inner, replaced) for index, inner in enumerate(value)]
    return value


def _is_address(text: str) -> bool:
    """Whether a text is one address and nothing else: a prompt that mentions one is none.

    As loosely as those read who fetch: what is not well written is refused where it is judged.
    """
    meant = text.strip(_AROUND)
    # The cheap look first: texts may be megabytes of base64, and there may be thousands of them.
    if meant[:1] not in {"h", "H"}:
        return False
    meant = meant.translate(_DROPPED)
    return _SCHEME.match(meant) is not None and " " not in meant
