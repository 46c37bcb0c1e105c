"""Accepts tasks, runs them, and remembers what became of each: the state of the simulated service.

Task ids are unique for the life of the process. What is remembered of a request names its pictures by hash, type and
size only.
"""

import asyncio
import hashlib
import io
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp
import pybase64
from PIL import Image

from app.simulator.faults import Fault
from app.simulator.pictures import draw, edit, encode
from app.simulator.rules import JSONObject, ModelRules, rules_for
from app.simulator.scenarios import Scenario, read_scenario
from app.simulator.validation import UUID, listed_inputs, output_types

_MAX_PIXELS = 100_000_000
_MAX_PICTURE_BYTES = 256 * 1024 * 1024
_MAX_TASKS = 20_000
_NODE = "image/os/a15d18/ws/2/ii"


@dataclass(slots=True)
class Task:
    """A task and its course."""

    wire: JSONObject
    shown: JSONObject
    scenario: Scenario
    rules: ModelRules
    started: float
    items: list[JSONObject] = field(default_factory=list)
    faults: list[JSONObject] = field(default_factory=list)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    billed: Decimal = Decimal(0)
    submissions: int = 1

    @property
    def count(self) -> int:
        """How many pictures were asked for."""
        return int(self.wire.get("numberResults", 1))


class InputPictureError(Exception):
    """An input picture cannot be had or read; carries the fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


class Desk:
    """All tasks, pictures and bills."""

    def __init__(self, latency_seconds: float) -> None:
        self.base_url = ""
        self.tasks: OrderedDict[str, Task] = OrderedDict()
        self.submissions: dict[str, int] = {}
        self._latency = latency_seconds
        self._pictures: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        self._picture_bytes = 0
        self._running: set[asyncio.Task[None]] = set()
        self._fetcher: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End what runs."""
        for running in self._running:
            running.cancel()
        if self._fetcher is not None:
            await self._fetcher.close()

    def count_submission(self, task_uuid: object) -> int:
        """How often this task has been sent, this time included."""
        key = str(task_uuid)
        self.submissions[key] = self.submissions.get(key, 0) + 1
        return self.submissions[key]

    async def accept(self, wire: JSONObject) -> Task:
        """Take a valid task and start it, raising InputPictureError for inputs that cannot be read."""
        rules = rules_for(str(wire["model"]))
        assert rules is not None  # noqa: S101 - validated before
        task = Task(wire, {}, read_scenario(wire.get("positivePrompt")), rules, time.time())
        key = str(wire["taskUUID"])
        self.tasks[key] = task  # before the pictures are read: the id is taken from here on
        try:
            references, mask, task.shown = await self._read_inputs(wire)
        except InputPictureError:
            del self.tasks[key]
            raise
        while len(self.tasks) > _MAX_TASKS:
            self.tasks.popitem(last=False)
        running = asyncio.create_task(self._run(task, references, mask))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return task

    def picture(self, name: str) -> tuple[str, bytes] | None:
        """A finished picture by file name, with its Content-Type."""
        return self._pictures.get(name)

    async def upload(self, reference: object) -> str:
        """Keep an uploaded picture; its id."""
        data = await self._load("image", reference)
        picture_id = str(uuid.uuid4())
        self._keep(f"{picture_id}.png", "image/png", data)
        return picture_id

    async def _run(self, task: Task, references: list[Image.Image], mask: Image.Image | None) -> None:
        scenario = task.scenario
        await asyncio.sleep(scenario.number("slow", self._latency) if scenario.has("slow") else self._latency)
        if scenario.has("hang"):
            await asyncio.sleep(scenario.number("hang", 0))
        seed = task.wire.get("seed")
        fault = scenario.after_acceptance(seed if isinstance(seed, int) else None)
        if fault is not None:
            task.faults.append(fault.to_wire(task.wire) | {"status": "error"})
        else:
            await self._make_pictures(task, references, mask)
        task.finished.set()

    async def _make_pictures(self, task: Task, references: list[Image.Image], mask: Image.Image | None) -> None:
        good = int(task.scenario.number("partial", task.count))
        for place in range(task.count):
            if place >= good:
                fault = Fault("providerError", "The provider responded with an error.")
                task.faults.append(fault.to_wire(task.wire) | {"status": "error"})
                continue
            seed = self._seed(task, place)
            data, format_ = await asyncio.to_thread(_make, task, references, mask, seed)
            task.items.append(self._to_item(task, data, format_, seed))
            task.billed += task.rules.price

    def _seed(self, task: Task, place: int) -> int:
        given = task.wire.get("seed")
        if isinstance(given, int):
            return given + place
        digest = hashlib.sha256(f"{task.wire['taskUUID']}{place}".encode()).digest()
        return int.from_bytes(digest[:4], "big")

    def _to_item(self, task: Task, data: bytes, format_: str, seed: int) -> JSONObject:
        image_id = str(uuid.uuid4())
        name = f"{image_id}.{format_.lower()}"
        self._keep(name, f"image/{format_.lower().replace('jpg', 'jpeg')}", data)
        item: JSONObject = {
            "taskType": "imageInference",
            "taskUUID": task.wire["taskUUID"],
            "imageUUID": image_id,
            "status": "success",
        }
        forms = ["URL"] if task.scenario.has("dead-url") or task.scenario.has("url-only") else output_types(task.wire)
        for form in forms or ():
            if form == "URL":
                item["imageURL"] = f"{self.base_url}/{_NODE}/{'gone-' if task.scenario.has('dead-url') else ''}{name}"
            else:
                text = pybase64.b64encode(data).decode()
                key = "imageBase64Data" if form == "base64Data" else "imageDataURI"
                item[key] = text if form == "base64Data" else f"data:image/{format_.lower()};base64,{text}"
        if task.rules.returns_seed:
            item["seed"] = seed
        if (task.wire.get("safety") or {}).get("checkContent") or task.wire.get("checkNSFW"):
            item["NSFWContent"] = False
        if task.wire.get("includeCost"):
            item["cost"] = task.rules.price
        return item

    def _keep(self, name: str, media_type: str, data: bytes) -> None:
        self._pictures[name] = (media_type, data)
        self._picture_bytes += len(data)
        while self._picture_bytes > _MAX_PICTURE_BYTES and len(self._pictures) > 1:
            _, (_, oldest) = self._pictures.popitem(last=False)
            self._picture_bytes -= len(oldest)

    async def _read_inputs(self, wire: JSONObject) -> tuple[list[Image.Image], Image.Image | None, JSONObject]:
        inputs = listed_inputs(wire)
        shown_inputs: JSONObject = {}
        pictures: list[Image.Image] = []
        for name in ("seedImage", "referenceImages"):
            listed = inputs.get(name)
            if listed is None:
                continue
            several = listed if isinstance(listed, list) else [listed]
            loaded = [await self._load(name, one) for one in several]
            pictures += [await asyncio.to_thread(_open, name, data, wire) for data in loaded]
            described = [describe(one, data) for one, data in zip(several, loaded, strict=True)]
            shown_inputs[name] = described if isinstance(listed, list) else described[0]
        mask = None
        if "maskImage" in inputs:
            data = await self._load("maskImage", inputs["maskImage"])
            mask = await asyncio.to_thread(_open, "maskImage", data, wire)
            shown_inputs["maskImage"] = describe(inputs["maskImage"], data)
        shown = {
            name: value for name, value in wire.items() if name not in {"seedImage", "maskImage", "referenceImages"}
        }
        if shown_inputs:
            given = wire.get("inputs")
            shown["inputs"] = {**(given if isinstance(given, dict) else {}), **shown_inputs}
        return pictures, mask, shown

    async def _load(self, name: str, reference: object) -> bytes:
        """The bytes behind a picture id, a data URI, base64 or an address."""
        if not isinstance(reference, str) or not reference:
            raise InputPictureError(_untransferable(name))
        if UUID.fullmatch(reference):
            for kept, (_, data) in self._pictures.items():
                if kept.startswith(reference):
                    return data
            raise InputPictureError(_untransferable(name))
        if reference.startswith(("http://", "https://")):
            return await self._fetch(name, reference)
        try:
            return pybase64.b64decode(
                reference.partition(",")[2] if reference.startswith("data:") else reference, validate=True
            )
        except ValueError:
            raise InputPictureError(_untransferable(name)) from None

    async def _fetch(self, name: str, url: str) -> bytes:
        if self._fetcher is None:
            self._fetcher = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        try:
            async with self._fetcher.get(url) as response:
                response.raise_for_status()
                return await response.read()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            raise InputPictureError(_untransferable(name)) from None


def describe(reference: object, data: bytes) -> Any:
    """A picture as it may be shown: an address as it is, bytes as hash, type and size."""
    if isinstance(reference, str) and not reference.startswith("data:") and len(reference) < 2000:  # noqa: PLR2004
        return reference
    picture = Image.open(io.BytesIO(data))
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "format": picture.format,
        "width": picture.width,
        "height": picture.height,
    }


def _open(name: str, data: bytes, wire: Mapping[str, Any]) -> Image.Image:
    rules = rules_for(str(wire["model"]))
    try:
        picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP"))
        if picture.width * picture.height > _MAX_PIXELS:
            raise InputPictureError(_untransferable(name))
        picture.load()
    except (OSError, SyntaxError, ValueError):
        raise InputPictureError(_untransferable(name)) from None
    limits = rules.limits if rules else {}
    low, high, most = limits.get("min_side"), limits.get("max_side"), limits.get("max_bytes")
    too_small = low is not None and min(picture.size) < low
    too_large = (high is not None and max(picture.size) > high) or (most is not None and len(data) > most)
    if too_small or too_large:
        message = (
            f"Invalid value for '{name}' parameter. Each side must be {low} to {high} pixels, at most {most} bytes."
        )
        raise InputPictureError(Fault("invalidReferenceImages", message, parameter=f"inputs.{name}"))
    return picture


def _untransferable(name: str) -> Fault:
    message = f"Invalid value for '{name}' parameter. Failed to transfer the provided image."
    return Fault("failedToTransferImage", message, parameter=f"inputs.{name}")


def _make(task: Task, references: list[Image.Image], mask: Image.Image | None, seed: int) -> tuple[bytes, str]:
    """The bytes of one picture, and the format they are in."""
    wire, scenario = task.wire, task.scenario
    size = _size_of(task, references)
    if scenario.has("wrong-size"):
        size = (max(64, size[0] - 64), size[1])
    prompt = str(wire.get("positivePrompt", ""))
    if references:
        picture = edit(references[0], mask, prompt, seed, size)
    else:
        transparent = bool((wire.get("advancedFeatures") or {}).get("layerDiffuse") or wire.get("layerDiffuse"))
        picture = draw(prompt, seed, size, transparent=transparent)
    asked = str(wire.get("outputFormat", task.rules.formats[0])).upper().replace("JPEG", "JPG")
    made = "JPG" if scenario.has("wrong-format") else asked
    data = encode(picture, made, wire.get("outputQuality"))
    return (data[: len(data) // 2] if scenario.has("broken") else data), asked


def _size_of(task: Task, references: list[Image.Image]) -> tuple[int, int]:
    wire = task.wire
    if "width" in wire and "height" in wire:
        return int(wire["width"]), int(wire["height"])
    return references[0].size if references else (1024, 1024)
