"""Reads the input pictures of a task: ids, data URIs, base64 and addresses, judged by the limits of the model.

What is shown of them elsewhere names bytes by hash, type and size only.
"""

import asyncio
import hashlib
import io
from collections.abc import Mapping
from typing import Any, Protocol

import aiohttp
import pybase64
from PIL import Image

from app.simulator.faults import Fault
from app.simulator.rules import JSONObject, rules_for
from app.simulator.validation import UUID, listed_inputs

_MAX_PIXELS = 100_000_000
_SHOWN = 2000


class InputPictureError(Exception):
    """An input picture cannot be had or read; carries the fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


class Shelf(Protocol):
    """Where uploaded and finished pictures are kept."""

    def find(self, picture_id: str) -> bytes | None:
        """A picture by its id."""
        ...


class InputReader:
    """Reads pictures, from a shelf or over HTTP."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Give back all connections."""
        if self._session is not None:
            await self._session.close()

    async def read(self, wire: JSONObject) -> tuple[list[Image.Image], Image.Image | None, JSONObject]:
        """The pictures of a task, its mask, and the task as it may be shown; raises InputPictureError."""
        inputs = listed_inputs(wire)
        shown_inputs: JSONObject = {}
        pictures: list[Image.Image] = []
        for name in ("image", "seedImage", "referenceImages"):
            listed = inputs.get(name)
            if listed is None:
                continue
            several = listed if isinstance(listed, list) else [listed]
            loaded = [await self.load(name, one) for one in several]
            pictures += [await asyncio.to_thread(_open, name, data, wire) for data in loaded]
            described = [describe(one, data) for one, data in zip(several, loaded, strict=True)]
            shown_inputs[name] = described if isinstance(listed, list) else described[0]
        mask = None
        if "maskImage" in inputs:
            data = await self.load("maskImage", inputs["maskImage"])
            mask = await asyncio.to_thread(_open, "maskImage", data, wire)
            shown_inputs["maskImage"] = describe(inputs["maskImage"], data)
        shown = {
            name: value for name, value in wire.items() if name not in {"seedImage", "maskImage", "referenceImages"}
        }
        if shown_inputs:
            given = wire.get("inputs")
            shown["inputs"] = {**(given if isinstance(given, dict) else {}), **shown_inputs}
        return pictures, mask, shown

    async def load(self, name: str, reference: object) -> bytes:
        """The bytes behind a picture id, a data URI, base64 or an address."""
        if not isinstance(reference, str) or not reference:
            raise InputPictureError(_untransferable(name))
        if UUID.fullmatch(reference):
            found = self._shelf.find(reference)
            if found is None:
                raise InputPictureError(_untransferable(name))
            return found
        if reference.startswith(("http://", "https://")):
            return await self._fetch(name, reference)
        try:
            return pybase64.b64decode(
                reference.partition(",")[2] if reference.startswith("data:") else reference, validate=True
            )
        except ValueError:
            raise InputPictureError(_untransferable(name)) from None

    async def _fetch(self, name: str, url: str) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        try:
            async with self._session.get(url) as response:
                response.raise_for_status()
                return await response.read()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            raise InputPictureError(_untransferable(name)) from None


def describe(reference: object, data: bytes) -> Any:
    """A picture as it may be shown: an address as it is, bytes as hash, type and size."""
    if isinstance(reference, str) and not reference.startswith("data:") and len(reference) < _SHOWN:
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
