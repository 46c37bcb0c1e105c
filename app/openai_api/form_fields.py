"""Rebuilds the nesting that a form flattens into bracketed names, and the values that it flattens into text. Pure.

Whatever can be rebuilt without doubt is; the rest is refused by name, never guessed.
"""

import itertools
import re
from collections import Counter
from collections.abc import Sequence

from app.domain.words import JSONValue
from app.errors import InvalidRequestError
from app.openai_api.json_body import decode_value
from app.openai_api.vocabulary import BY_NAME, SYNONYMS, Kind, names_of

_Entry = tuple[tuple[str, ...], str]
"""The brackets of a name, and the text of its part."""
# No field is as deep; names cost the sender little and the one who nests them much.
_MAX_DEPTH = 8
# Larger numbers in brackets are names of members: no list is as long.
_MAX_INDEX = 256
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,18})(\.\d{1,18})?([eE][+-]?\d{1,3})?")
_LOST = "[object Object]"
_TEXTS = (Kind.PROMPT, Kind.TEXT, Kind.SIZE)
_TEXT_FIELDS = frozenset(
    {*names_of(*_TEXTS), *(native for native in SYNONYMS if BY_NAME[native].kind in _TEXTS), "uploadEndpoint"}
)
"""Fields whose text stays text even when it looks like a number."""


def rebuild_fields(texts: Sequence[tuple[str, str]]) -> dict[str, JSONValue]:
    """Fields with their nesting: `lora[][model]`, `opts[a][b]`, `tags[]` and `lora[0][model]`.

    Python's clients send the members of a list of objects grouped by key, Node's in item order. The i-th value of a
    key belongs to object i when keys are grouped; otherwise a repeated key starts the next object.
    """
    groups: dict[str, list[_Entry]] = {}
    for name, text in texts:
        match = _NAME.fullmatch(name)
        root, brackets = (match[1], match[2]) if match else (name, "")
        path = tuple(brackets[1:-1].split("][")) if brackets else ()
        if len(path) > _MAX_DEPTH:
            raise InvalidRequestError(f"`{root}` is nested more than {_MAX_DEPTH} levels deep.", param=root)
        # JavaScript's own text for an object it could not send: the value is lost, and guessing would buy another
        # image.
        if text.strip() == _LOST:
            message = f"`{root}` arrived as the text {_LOST}: the client lost its value. Send it as a JSON string."
            raise InvalidRequestError(message, param=root)
        groups.setdefault(root, []).append((path, text))
    return {root: _rebuild(root, root, entries) for root, entries in groups.items()}


def _rebuild(root: str, place: str, entries: Sequence[_Entry]) -> JSONValue:
    heads = [path[0] if path else None for path, _ in entries]
    if all(head is None for head in heads):
        values = [_to_value(root, text) for _, text in entries]
        return values[0] if len(values) == 1 else values
    # Refused by name: forms carry no structure, and a wrong guess is paid for (0004).
    if any(head is None for head in heads):
        message = f"`{place}` is sent both as a value and as an object."
        raise InvalidRequestError(message, param=root)
    rest = [(str(path[0]), (path[1:], text)) for path, text in entries]
    if all(head == "" for head in heads):
        return _rebuild_list(root, place, [entry for _, entry in rest])
    members: dict[str, list[_Entry]] = {}
    for head, entry in rest:
        members.setdefault(head, []).append(entry)
    rebuilt = {head: _rebuild(root, f"{place}.{head}", group) for head, group in members.items()}
    if all(head.isdecimal() and int(head) <= _MAX_INDEX for head in rebuilt):
        return [rebuilt[head] for head in sorted(rebuilt, key=int)]
    return rebuilt


def _rebuild_list(root: str, place: str, entries: Sequence[_Entry]) -> JSONValue:
    if all(not path for path, _ in entries):
        return [_to_value(root, text) for _, text in entries]
    if any(not path or path[0] == "" for path, _ in entries):
        if len(entries) > 1:
            raise _ambiguous(root, place)
        objects = [list(entries)]
    elif _is_grouped(entries):
        objects = _split_grouped(root, place, entries)
    else:
        # Two orders, by two families of clients; which one it is shows in the names alone.
        objects = _split_interleaved(entries)
    return [_rebuild(root, f"{place}[{index}]", members) for index, members in enumerate(objects)]


def _split_grouped(root: str, place: str, entries: Sequence[_Entry]) -> list[list[_Entry]]:
    """Objects whose values came grouped by key: the i-th value of each key is the i-th object's."""
    counts = Counter(path for path, _ in entries)
    scalars = {count for path, count in counts.items() if path[-1] != ""}
    size = scalars.pop() if scalars else 1
    if scalars or (size != 1 and set(counts.values()) != {size}) or (size == 1 and not _has_scalar(counts)):
        raise _ambiguous(root, place)
    if size == 1:
        return [list(entries)]
    seen: Counter[tuple[str, ...]] = Counter()
    objects: list[list[_Entry]] = [[] for _ in range(size)]
    for path, text in entries:
        objects[seen[path]].append((path, text))
        seen[path] += 1
    return objects


def _has_scalar(counts: Counter[tuple[str, ...]]) -> bool:
    """Whether something shows that there is one object only: a member that is no list, or lists of one."""
    return any(path[-1] != "" for path in counts) or max(counts.values()) == 1


def _split_interleaved(entries: Sequence[_Entry]) -> list[list[_Entry]]:
    """Objects whose values came in item order: a key that repeats begins the next."""
    objects: list[list[_Entry]] = []
    taken: set[tuple[str, ...]] = set()
    for path, text in entries:
        if not objects or path in taken:
            objects.append([])
            taken = set()
        if path[-1] != "":
            taken.add(path)
        objects[-1].append((path, text))
    return objects


def _ambiguous(root: str, place: str) -> InvalidRequestError:
    message = f"The items of `{place}` cannot be distinguished in this form. Send `{root}` as one JSON string."
    return InvalidRequestError(message, param=root)


def _is_grouped(entries: Sequence[_Entry]) -> bool:
    """Whether all values of each key stand together."""
    changes = sum(before[0] != after[0] for before, after in itertools.pairwise(entries))
    return changes == len({path for path, _ in entries}) - 1


def _to_value(root: str, text: str) -> JSONValue:
    """Form text as the value it stands for: a number, a boolean, JSON, or itself."""
    if root in _TEXT_FIELDS:
        return text
    # A number of a form is text: only its look says what was meant. `007` is a name.
    stripped = text.strip()
    if stripped.lower() in {"true", "false"}:
        return stripped.lower() == "true"
    if stripped[:1] in {"{", "["} or _NUMBER.fullmatch(stripped):
        try:
            return decode_value(stripped.encode("utf-8", "surrogatepass"), root)
        # What merely looks like JSON stays text; what would be a bomb does not.
        except InvalidRequestError as error:
            if error.code == "too_complex":
                raise
    return text
