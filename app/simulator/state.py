"""Accepts tasks, runs them, and remembers what became of each: the state of the simulated service.

Task ids are unique for the life of the process. What is remembered of a request names its images by hash, type and
size only.
"""

import asyncio
import hashlib
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal

import pybase64
from PIL import Image

from app.simulator.asked import is_transparent, prompt_of, size_of
from app.simulator.billing import price_image
from app.simulator.faults import Fault
from app.simulator.holding import HeldTasks
from app.simulator.images import cut_out, draw, draw_vector, edit, encode, plain
from app.simulator.inputs import InputImageError, InputReader
from app.simulator.owners import Owners
from app.simulator.rules import JSONObject, ModelRules, rules_for
from app.simulator.scenarios import Scenario, read_scenario
from app.simulator.uploads import ResultUploads
from app.simulator.validation import output_types

_MAX_IMAGE_BYTES = 256 * 1024 * 1024
_MAX_TASKS = 20_000
_MEDIA_TYPES = {"JPG": "image/jpeg", "SVG": "image/svg+xml"}
_NODE = "image/os/a15d18/ws/2/ii"


@dataclass(slots=True)
class Task:
    """A task and its course."""

    wire: JSONObject
    shown: JSONObject
    scenario: Scenario
    rules: ModelRules
    started: float
    account: str
    items: list[JSONObject] = field(default_factory=list)
    faults: list[JSONObject] = field(default_factory=list)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    billed: Decimal = Decimal(0)
    submissions: int = 1

    @property
    def count(self) -> int:
        """How many images were asked for."""
        return int(self.wire.get("numberResults", 1))


class TaskStore:
    """All tasks, images and bills."""

    def __init__(self, latency_seconds: float) -> None:
        self.base_url = ""
        self.tasks: OrderedDict[str, Task] = OrderedDict()
        self.submissions: dict[str, int] = {}
        self.forgotten_tasks = self.forgotten_images = self.uploads = self.deletions = 0
        self.forgotten_bills = Decimal(0)
        self.puts = ResultUploads()
        self.held = HeldTasks()
        self._latency = latency_seconds
        self._images: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        self._image_bytes = 0
        self._image_faults: dict[str, tuple[float, float]] = {}
        self.owners = Owners()
        self._running: set[asyncio.Task[None]] = set()
        self._inputs = InputReader(self)

    async def close(self) -> None:
        """End what runs."""
        for running in self._running:
            running.cancel()
        await self._inputs.close()
        await self.puts.close()

    def count_submission(self, task_uuid: object) -> int:
        """How often this task has been sent, this time included."""
        key = str(task_uuid)
        # Counted by id, so that "the first N times" holds for retries of one task and not for all tasks together.
        self.submissions[key] = self.submissions.get(key, 0) + 1
        return self.submissions[key]

    async def accept(self, wire: JSONObject, account: str) -> Task:
        """Take a valid task and start it, raising InputImageError for inputs that cannot be read."""
        rules = rules_for(str(wire["model"]))
        assert rules is not None  # noqa: S101 - validated before
        # Its own clock and no injected one: it stands for a service elsewhere.
        task = Task(wire, {}, read_scenario(wire.get("positivePrompt")), rules, time.time(), account)
        key = str(wire["taskUUID"])
        self.tasks[key] = task  # before the images are read: the id is taken from here on
        try:
            references, mask, task.shown = await self._inputs.read_inputs(wire)
        except InputImageError:
            # Like the real service: what was refused is not known, and its id is free.
            del self.tasks[key]
            raise
        while len(self.tasks) > _MAX_TASKS:
            _, oldest = self.tasks.popitem(last=False)
            self._count_forgotten(oldest)
        if task.scenario.has("revoke-key"):
            self.owners.revoke(account)
        running = asyncio.create_task(self._run(task, references, mask))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return task

    def _count_forgotten(self, task: Task) -> None:
        """Keep what a task adds to the ledger: its books would not balance without it."""
        self.forgotten_tasks += 1
        self.forgotten_images += len(task.items)
        self.forgotten_bills += task.billed

    def image(self, name: str) -> tuple[str, bytes] | None:
        """A finished image by file name, with its Content-Type; None where it is absent, or plays so."""
        absent, cut = self._image_faults.get(name, (0, 0))
        # Counted down, so that a client that asks again is served in the end.
        if absent >= 1:
            self._image_faults[name] = (absent - 1, cut)
            return None
        return self._images.get(name)

    def cuts(self, name: str) -> bool:
        """Whether this time the image breaks off midway."""
        absent, cut = self._image_faults.get(name, (0, 0))
        if cut < 1:
            return False
        self._image_faults[name] = (absent, cut - 1)
        return True

    def find_image(self, image_id: str) -> bytes | None:
        """An uploaded or finished image by its id."""
        return next((data for name, (_, data) in self._images.items() if name.startswith(image_id)), None)

    async def upload(self, reference: object, account: str) -> str:
        """Store an uploaded image of an account; its id."""
        data = await self._inputs.load("image", reference)
        image_id = str(uuid.uuid4())
        self._store_image(f"{image_id}.png", "image/png", data)
        self.owners.note_upload(image_id, account)
        self.uploads += 1
        return image_id

    def delete(self, image_id: object, account: str) -> bool:
        """Delete an uploaded image; False when this account has none."""
        found = self._images.pop(f"{image_id}.png", None) if self.owners.owns(account, image_id) else None
        self._image_bytes -= len(found[1]) if found else 0
        self.deletions += found is not None
        return found is not None

    async def _run(self, task: Task, references: list[Image.Image], mask: Image.Image | None) -> None:
        scenario = task.scenario
        await asyncio.sleep(scenario.number("slow", self._latency) if scenario.has("slow") else self._latency)
        if scenario.has("hold"):
            await self.held.wait_for_release(prompt_of(task.wire))
        if scenario.has("hang"):
            await asyncio.sleep(scenario.number("hang", 0))
        seed = task.wire.get("seed")
        fault = scenario.after_acceptance(seed if isinstance(seed, int) else None)
        if fault is not None:
            task.faults.append(fault.to_wire(task.wire) | {"status": "error"})
        else:
            try:
                await self._make_images(task, references, mask)
            except Exception as error:  # noqa: BLE001 - a bug here must not leave the gateway waiting
                fault = Fault("internalServerError", f"The simulator failed: {error!r}", 500)
                task.faults.append(fault.to_wire(task.wire) | {"status": "error"})
        task.finished.set()

    async def _make_images(self, task: Task, references: list[Image.Image], mask: Image.Image | None) -> None:
        # The first ones succeed: which images of a partial answer exist must be known to a test.
        good = int(task.scenario.number("partial", task.count))
        sizes = [image.size for image in references]
        for place in range(task.count):
            if place >= good:
                fault = Fault("providerError", "The provider responded with an error.")
                task.faults.append(fault.to_wire(task.wire) | {"status": "error"})
                continue
            seed = self._seed(task, place)
            # In a thread: drawing must not delay the answers to other tasks, whose times tests measure.
            data, format_ = await asyncio.to_thread(_make, task, references, mask, seed)
            cost = price_image(task.rules.price, task.wire, sizes, size_of(task.wire, task.rules.task, references))
            task.items.append(self._to_item(task, data, format_, seed, cost))
            # Of every image that was made, delivered or not: the sum that callers' answers are held against.
            task.billed += cost

    def _seed(self, task: Task, place: int) -> int:
        # Deterministic, so that a test can tell a replayed image from a new one.
        given = task.wire.get("seed")
        if isinstance(given, int):
            return given + place
        digest = hashlib.sha256(f"{task.wire['taskUUID']}{place}".encode()).digest()
        return int.from_bytes(digest[:4], "big")

    def _to_item(self, task: Task, data: bytes, format_: str, seed: int, cost: Decimal) -> JSONObject:
        image_id = str(uuid.uuid4())
        name = f"{image_id}.{format_.lower()}"
        media_type = _MEDIA_TYPES.get(format_, f"image/{format_.lower()}")
        self._store_image(name, media_type, data)
        self.puts.begin_upload(task.wire.get("uploadEndpoint"), media_type, data)
        item: JSONObject = {
            "taskType": task.rules.task,
            "taskUUID": task.wire["taskUUID"],
            "imageUUID": image_id,
            "status": "success",
        }
        if any(task.scenario.image_faults()):
            self._image_faults[name] = task.scenario.image_faults()
        item |= self._forms_of(task, name, media_type, data)
        if task.rules.returns_seed:
            item["seed"] = seed
        if (task.wire.get("safety") or {}).get("checkContent") or task.wire.get("checkNSFW"):
            item["NSFWContent"] = task.scenario.has("nsfw")
        if task.scenario.has("says-more"):
            item |= {"contentCredentials": {"issuer": "simulator", "score": 0.5}, "inferenceTime": 1.25}
        priced = not task.scenario.has("costless") or len(task.items) < task.scenario.number("costless", 0)
        if task.wire.get("includeCost") and priced:
            item["cost"] = cost
        return item

    def _forms_of(self, task: Task, name: str, media_type: str, data: bytes) -> JSONObject:
        """The image in every form that was asked for."""
        found: JSONObject = {}
        for form in ["URL"] if task.scenario.gives_address() else output_types(task.wire) or ():
            if form == "URL":
                found["imageURL"] = f"{self.base_url}/{_NODE}/{name}"
            else:
                text = pybase64.b64encode(data).decode()
                key = "imageBase64Data" if form == "base64Data" else "imageDataURI"
                found[key] = text if form == "base64Data" else f"data:{media_type};base64,{text}"
        return found

    def _store_image(self, name: str, media_type: str, data: bytes) -> None:
        self._images[name] = (media_type, data)
        self._image_bytes += len(data)
        # Bounded: it may run for days beside a gateway without a key.
        while self._image_bytes > _MAX_IMAGE_BYTES and len(self._images) > 1:
            name, (_, oldest) = self._images.popitem(last=False)
            self._image_faults.pop(name, None)
            self._image_bytes -= len(oldest)


def _make(task: Task, references: list[Image.Image], mask: Image.Image | None, seed: int) -> tuple[bytes, str]:
    """The bytes of one image, and the format they are in."""
    wire, scenario = task.wire, task.scenario
    if task.rules.task == "vectorize":
        return draw_vector(prompt_of(wire), references, seed, size_of(wire, task.rules.task, references)), "SVG"
    size = size_of(wire, task.rules.task, references)
    if scenario.has("wrong-size"):
        size = (max(64, size[0] - 64), size[1])
    prompt = prompt_of(wire)
    asked = str(wire.get("outputFormat", task.rules.formats[0])).upper().replace("JPEG", "JPG")
    made = "JPG" if scenario.has("wrong-format") else asked
    if scenario.has("plain"):
        return plain("RGBA" if is_transparent(wire) else "RGB", size, made, wire.get("outputQuality")), asked
    if task.rules.task == "removeBackground":
        image = cut_out(references[0])
    elif task.rules.task == "upscale":
        image = references[0].convert("RGB").resize(size)
    elif references:
        image = edit(references[0], mask, prompt, seed, size)
    else:
        image = draw(prompt, seed, size, transparent=is_transparent(wire) and not scenario.has("opaque"))
    data = encode(image, made, wire.get("outputQuality"))
    return (data[: len(data) // 2] if scenario.has("broken") else data), asked
