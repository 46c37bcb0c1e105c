"""Updates the catalog from what Runware's schema and content services publish.

Everything is fetched and the new catalog validated before a file is touched; any failure leaves the catalog as it was.
Owns fetching and files; what changes in an entry is `refresh`'s and `repricing`'s, and what is printed the command's.
"""

import asyncio
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
from app.catalog.loader import FIELDS_FILE, InvalidCatalogError, load_catalog, load_vocabulary
from app.catalog.refresh import (
    TASKS,
    Entry,
    makes_images,
    mark_unlisted,
    new_entry,
    request_properties,
    update_entry,
)
from app.catalog.repricing import Pricer, update_listing, update_pricing
from app.catalog.schema_rules import Facts

STATE_FILE = ".refresh.json"
_PARALLEL = 8
_SECONDS = 30.0
_NOT_MODIFIED, _OK, _NOT_FOUND = 304, 200, 404
_UNKNOWN_CREATOR = "Community"


class RefreshError(Exception):
    """The catalog could not be refreshed; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where Runware publishes: request schemas, the pages of models, and lists and prices of models."""

    schemas_url: str
    docs_url: str
    content_url: str


@dataclass(frozen=True, slots=True)
class Published:
    """What the services say of one model: `info` is its page's, empty where there is none."""

    air: str
    slug: str
    task: str
    schema: Facts
    info: Facts


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a refresh came to: a diff of the files, empty when nothing changed, and notes beside it."""

    version: str
    diff: str
    notes: tuple[str, ...]


async def refresh(folder: Path, sources: Sources, price: Pricer, *, write: bool) -> Outcome:
    """Refresh the catalog in `folder`, raising RefreshError; without `write` only the diff is made."""
    state = _read_state(folder)
    notes: list[str] = []
    published: list[Published] = []
    registered: set[str] | None = None
    async with httpx2.AsyncClient(timeout=_SECONDS, follow_redirects=True) as client:
        headers = {"If-None-Match": state["etag"]} if state.get("etag") else {}
        registry = await _get(client, f"{sources.schemas_url}/registry.json", headers)
        if registry is None:
            notes.append("The registry of schemas has not changed since the last refresh.")
        else:
            body, etag = registry
            listed = _models_of(body)
            state, registered = {"etag": etag, "version": str(body.get("version", ""))}, set(listed)
            published = await _fetch_all(client, listed, sources, notes)
        airs = dict.fromkeys([*_airs_of(folder), *(one.air for one in published)])
        content = await fetch_content(lambda url: _get_json(client, url), sources.content_url, airs)
    with tempfile.TemporaryDirectory() as made:
        new = Path(made) / "catalog"
        shutil.copytree(folder, new)
        notes += _apply(new, published, registered, content, price)
        try:
            load_catalog(new)
        except InvalidCatalogError as error:
            message = "What Runware publishes does not make a valid catalog; nothing was changed.\n"
            raise RefreshError(message + "\n".join(error.faults[:10])) from None
        diff = _diff(folder, new)
        if write:
            _replace(folder, new)
            (folder / STATE_FILE).write_text(json.dumps(state) + "\n", encoding="utf-8")
    return Outcome(state.get("version", ""), diff, tuple(notes))


async def _get_json(client: httpx2.AsyncClient, url: str) -> object:
    """The JSON at an address, None where there is none."""
    found = await _fetch(client, url, {})
    return found[0] if found is not None else None


async def _get(
    client: httpx2.AsyncClient, url: str, headers: Mapping[str, str] | None = None
) -> tuple[Facts, str] | None:
    """The JSON object at an address and its ETag; None when it has not changed, or does not exist."""
    found = await _fetch(client, url, headers or {})
    if found is None:
        return None
    if not isinstance(found[0], dict):
        raise RefreshError(f"{url} answered something that is no JSON object; the catalog is unchanged.")
    return cast("Facts", found[0]), found[1]


async def _fetch(client: httpx2.AsyncClient, url: str, headers: Mapping[str, str]) -> tuple[object, str] | None:
    try:
        response = await client.get(url, headers=dict(headers))
    except httpx2.HTTPError as error:
        message = f"{url} cannot be reached ({type(error).__name__}); the catalog is unchanged. Try again later."
        raise RefreshError(message) from None
    if response.status_code in {_NOT_MODIFIED, _NOT_FOUND}:
        return None
    if response.status_code != _OK:
        message = f"{url} answered {response.status_code}; the catalog is unchanged. Try again later."
        raise RefreshError(message)
    try:
        body: object = response.json()
    except ValueError:
        raise RefreshError(f"{url} answered something that is no JSON; the catalog is unchanged.") from None
    return body, response.headers.get("etag", "")


def _models_of(registry: Facts) -> dict[str, tuple[str, str]]:
    """Task type and slug of every model that may make images, by AIR id."""
    models = registry.get("models")
    if not isinstance(models, dict) or not models:
        raise RefreshError("The registry lists no models; the catalog is unchanged.")
    return {
        air: (str(one.get("taskType")), str(one.get("id") or ""))
        for air, one in models.items()
        if isinstance(one, dict) and one.get("taskType") in TASKS
    }


async def _fetch_all(
    client: httpx2.AsyncClient, listed: Mapping[str, tuple[str, str]], sources: Sources, notes: list[str]
) -> list[Published]:
    places = asyncio.Semaphore(_PARALLEL)

    async def fetch(air: str, task: str, slug: str) -> Published | None:
        async with places:
            resolved = await _get(client, f"{sources.schemas_url}/resolve/{air}")
            schema = resolved[0].get("requestSchema") if resolved else None
            if not isinstance(schema, dict):
                notes.append(f"{air} is registered but has no schema; its entry stays as it is.")
                return None
            if not makes_images(request_properties(schema)[0]):
                return None
            page = await _get(client, f"{sources.docs_url}/models/{slug}/schema.json") if slug else None
            info = page[0].get("info") if page else None
            return Published(air, slug, task, schema, info if isinstance(info, dict) else {})

    fetched = await asyncio.gather(*(fetch(air, task, slug) for air, (task, slug) in listed.items()))
    return [one for one in fetched if one is not None]


def _apply(
    folder: Path, published: list[Published], registered: set[str] | None, content: Content, price: Pricer
) -> list[str]:
    """Write everything published into the files of `folder`; the notes on what did not fit."""
    yaml = _yaml()
    vocabulary = load_vocabulary(folder)
    files = {file: yaml.load(file.read_text(encoding="utf-8")) for file in _files(folder)}
    entries: dict[str, Entry] = {entry["air"]: entry for document in files.values() for entry in document["models"]}
    if registered is not None:
        for entry in entries.values():
            mark_unlisted(entry, registered | set(content.listed))
    for one in sorted((_without_status(one, content) for one in published), key=lambda one: one.air):
        if one.air in entries:
            update_entry(entries[one.air], one.schema, one.info, one.task, vocabulary)
            continue
        creator = str(one.info.get("x-creator") or content.listed.get(one.air, {}).get("creator") or _UNKNOWN_CREATOR)
        file = folder / f"{re.sub(r'[^a-z0-9]+', '-', creator.lower()).strip('-')}.yaml"
        document = files.setdefault(file, {"creator": creator, "models": []})
        document["models"].append(new_entry(one.air, one.slug, one.schema, one.info, one.task, vocabulary))
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
    yaml.width, yaml.preserve_quotes = 100_000, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.yaml") if file.name != FIELDS_FILE)


def _airs_of(folder: Path) -> list[str]:
    """The AIR ids in the files, without reading these twice in the slow way that keeps their form."""
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
    try:
        state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: str(value) for name, value in state.items()} if isinstance(state, dict) else {}
