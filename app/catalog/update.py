"""Updates the catalog from what Runware's schema and content services publish.

Everything is fetched and the new catalog validated before a file is touched; any failure leaves the catalog as it was.
Owns the files; fetching is `published`'s and `content`'s, what changes in an entry `refresh`'s and `repricing`'s, and
what is printed the command's.
"""

import difflib
import io
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import httpx2
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedBase, CommentedMap, CommentedSeq

from app.catalog.content import Content, fetch_content
from app.catalog.loader import FIELDS_FILE, InvalidCatalogError, load_catalog, load_shared_fields
from app.catalog.published import Published, RefreshError, Registered, Sources, fetch_registered, get_json
from app.catalog.refresh import Entry, mark_unlisted, new_entry, update_entry
from app.catalog.repricing import Pricer, update_listing, update_pricing

STATE_FILE = ".refresh.json"
_SECONDS = 30.0
_UNCHANGED = "The registry of schemas has not changed since the last refresh."
_UNKNOWN_CREATOR = "Community"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a refresh came to: a diff of the files, empty when nothing changed, and notes beside it."""

    version: str
    diff: str
    notes: tuple[str, ...]


async def refresh(folder: Path, sources: Sources, price: Pricer, *, write: bool) -> Outcome:
    """Refresh the catalog in `folder`, raising RefreshError; without `write` only the diff is made."""
    state = _read_state(folder)
    async with httpx2.AsyncClient(timeout=_SECONDS, follow_redirects=True) as client:
        found = await fetch_registered(client, sources, state.get("etag"))
        # Prices change without the registry: the models that are here are asked for in any case.
        airs = dict.fromkeys([*_airs_of(folder), *(one.air for one in (found.published if found else ()))])
        content = await fetch_content(lambda url: get_json(client, url), sources.content_url, airs)
    notes = (_UNCHANGED,) if found is None else found.notes
    state = state if found is None else {"etag": found.etag, "version": found.version}
    # On a copy: what fails half way must leave the catalog as it is.
    with tempfile.TemporaryDirectory() as made:
        new = Path(made) / "catalog"
        shutil.copytree(folder, new)
        notes += tuple(_apply(new, found, content, price))
        _check(new)
        diff = _diff(folder, new)
        if write:
            _replace(folder, new)
            # Last: a refresh that was cut off is done again, not passed over.
            (folder / STATE_FILE).write_text(json.dumps(state) + "\n", encoding="utf-8")
    return Outcome(state.get("version", ""), diff, notes)


def _check(folder: Path) -> None:
    """Raise RefreshError for a catalog that no gateway would start with."""
    try:
        load_catalog(folder)
    except InvalidCatalogError as error:
        message = "What Runware publishes does not make a valid catalog; nothing was changed.\n"
        raise RefreshError(message + "\n".join(error.faults[:10])) from None


def _apply(folder: Path, found: Registered | None, content: Content, price: Pricer) -> list[str]:
    """Write everything published into the files of `folder`; the notes on what did not fit."""
    yaml = _yaml()
    shared = load_shared_fields(folder)
    files = {file: yaml.load(file.read_text(encoding="utf-8")) for file in _files(folder)}
    entries: dict[str, Entry] = {entry["air"]: entry for document in files.values() for entry in document["models"]}
    if found is not None:
        for entry in entries.values():
            mark_unlisted(entry, found.airs | set(content.listed))
    published = found.published if found is not None else ()
    # Sorted, so that two refreshes of the same facts write the same files.
    for one in sorted((_without_status(one, content) for one in published), key=lambda one: one.air):
        if one.air in entries:
            update_entry(entries[one.air], one.schema, one.info, one.task, shared)
            continue
        creator = str(one.info.get("x-creator") or content.listed.get(one.air, {}).get("creator") or _UNKNOWN_CREATOR)
        file = folder / f"{re.sub(r'[^a-z0-9]+', '-', creator.lower()).strip('-')}.yaml"
        document = files.setdefault(file, {"creator": creator, "models": []})
        document["models"].append(new_entry(one.air, one.slug, one.schema, one.info, one.task, shared))
    notes = _apply_content(files, content, price)
    for file, document in files.items():
        file.write_text(_to_text(yaml, document), encoding="utf-8")
    return notes


def _without_status(published: Published, content: Content) -> Published:
    """What a model's page says, without a status that the list of models says better."""
    if "status" not in content.listed.get(published.air, {}):
        return published
    return replace(published, info={name: value for name, value in published.info.items() if name != "x-status"})


def _apply_content(files: Mapping[Path, Entry], content: Content, price: Pricer) -> list[str]:
    """Write lists and prices into the documents; the notes on what did not fit."""
    notes: list[str] = []
    for document in files.values():
        for entry in cast("list[Entry]", document["models"]):
            air = str(entry["air"])
            if air in content.listed:
                update_listing(entry, content.listed[air], content.airs_by_name)
            if air in content.prices:
                notes += update_pricing(entry, str(document["creator"]), content.prices[air], price)
    return notes


def _to_text(yaml: YAML, document: Entry) -> str:
    """A document with new values in the style of the catalog."""
    for entry in cast("list[Entry]", document["models"]):
        for name, value in entry.items():
            entry[name] = _flow(value)
        limits = entry.get("limits")
        if isinstance(limits, dict):
            for name, value in limits.items():
                limits[name] = _flow(value)
    buffer = io.StringIO()
    yaml.dump(document, buffer)
    return buffer.getvalue()


def _flow(value: object) -> object:
    """A new value in the one-line style of the catalog; one that was read stays as it was written."""
    if isinstance(value, CommentedBase) or not isinstance(value, dict | list):
        return value
    made: CommentedMap | CommentedSeq
    if isinstance(value, dict):
        made = CommentedMap({name: _flow(inner) for name, inner in value.items()})
    else:
        made = CommentedSeq(_flow(inner) for inner in value)
    made.fa.set_flow_style()
    return made


def _yaml() -> YAML:
    """Reads and writes YAML so that what is untouched keeps its comments and its form."""
    yaml = YAML()
    # No line is broken or quoted anew: the diff shows what changed and nothing else.
    yaml.width, yaml.preserve_quotes = 100_000, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.yaml") if file.name != FIELDS_FILE)


def _airs_of(folder: Path) -> list[str]:
    """The AIR ids in the files, without reading these twice in the slow way that keeps their form."""
    # Good enough to know whom to ask; what is written is parsed in full.
    found = (
        re.findall(r"^ +air: *[\"']?([^\"'\s]+)", file.read_text(encoding="utf-8"), re.MULTILINE)
        for file in _files(folder)
    )
    return [air for listed in found for air in listed]


def _diff(folder: Path, new: Path) -> str:
    lines: list[str] = []
    for file in _files(new):
        before = (folder / file.name).read_text(encoding="utf-8") if (folder / file.name).is_file() else ""
        after = file.read_text(encoding="utf-8")
        lines += difflib.unified_diff(before.splitlines(), after.splitlines(), file.name, file.name, lineterm="", n=2)
    return "\n".join(lines)


def _replace(folder: Path, new: Path) -> None:
    """Put each changed file in its place, each at once."""
    for file in _files(new):
        target = folder / file.name
        text = file.read_text(encoding="utf-8")
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            draft = target.with_suffix(".new")
            draft.write_text(text, encoding="utf-8")
            # Atomic: a gateway that starts right now reads the old file or the new one.
            draft.replace(target)


def _read_state(folder: Path) -> dict[str, str]:
    # Without a state everything is fetched again: slower, never wrong.
    try:
        state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: str(value) for name, value in state.items()} if isinstance(state, dict) else {}
