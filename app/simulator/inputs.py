"""Reads the input images of a task: ids, data URIs, base64 and addresses, judged by the limits of the model.

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


class InputImageError(Exception):
    """An input image cannot be had or read; carries the fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


class ImageSource(Protocol):
    """Where uploaded and finished images are kept."""

    def find_image(self, image_id: str) -> bytes | None:
        """An image by its id."""
        ...


class InputReader:
    """Reads images, by their ids or over HTTP."""

    def __init__(self, images: ImageSource) -> None:
        self._images = images
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Give back all connections."""
        if self._session is not None:
            await self._session.close()

    async def read_inputs(self, wire: JSONObject) -> tuple[list[Image.Image], Image.Image | None, JSONObject]:
        """The images of a task, its mask, and the task as it may be shown; raises InputImageError."""
        inputs = listed_inputs(wire)
        shown_inputs: JSONObject = {}
        images: list[Image.Image] = []
        for name in ("image", "seedImage", "referenceImages"):
            listed = inputs.get(name)
            if listed is None:
                continue
            several = listed if isinstance(listed, list) else [listed]
            loaded = [await self.load(name, one) for one in several]
            images += [await asyncio.to_thread(_open, name, data, wire) for data in loaded]
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
        ace = wire.get("acePlusPlus")
        if isinstance(ace, dict) and not images:  # ACE++ carries the images to work on itself
            loaded = [await self.load("acePlusPlus.images", one) for one in ace.get("images", ())]
            images = [await asyncio.to_thread(_open, "acePlusPlus.images", data, wire) for data in loaded]
        if shown_inputs:
            given = wire.get("inputs")
            shown["inputs"] = {**(given if isinstance(given, dict) else {}), **shown_inputs}
        return images, mask, shown

    async def load(self, name: str, reference: object) -> bytes:
        """The bytes behind an image id, a data URI, base64 or an address."""
        if not isinstance(reference, str) or not reference:
            raise InputImageError(_untransferable(name))
        # By its form: an id that is unknown is an error and never tried as base64.
        if UUID.fullmatch(reference):
            found = self._images.find_image(reference)
            if found is None:
                raise InputImageError(_untransferable(name))
            return found
        if reference.startswith(("http://", "https://")):
            return await self._fetch(name, reference)
        try:
            return pybase64.b64decode(
                reference.partition(",")[2] if reference.startswith("data:") else reference, validate=True
            )
        except ValueError:
            raise InputImageError(_untransferable(name)) from None

    async def _fetch(self, name: str, url: str) -> bytes:
        if self._session is None:
            # Made at the first use: most tasks name no address.
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        try:
            async with self._session.get(url) as response:
                response.raise_for_status()
                return await response.read()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            raise InputImageError(_untransferable(name)) from None


def describe(reference: object, data: bytes) -> Any:
    """An image as it may be shown: an address as it is, bytes as hash, type and size."""
    if isinstance(reference, str) and not reference.startswith("data:") and len(reference) < _SHOWN:
        return reference
    image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP"))
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "format": image.format,
        "width": image.width,
        "height": image.height,
    }


def _open(name: str, data: bytes, wire: Mapping[str, Any]) -> Image.Image:
    rules = rules_for(str(wire["model"]))
    try:
        image = _decode(data)
    except Exception:  # noqa: BLE001 - on damaged bytes decoders raise whatever they like
        raise InputImageError(_untransferable(name)) from None
    limits = rules.limits if rules else {}
    low, high, max_bytes = limits.get("min_side"), limits.get("max_side"), limits.get("max_bytes")
    too_small = low is not None and min(image.size) < low
    too_large = (high is not None and max(image.size) > high) or (max_bytes is not None and len(data) > max_bytes)
    if too_small or too_large:
        message = (
            f"Invalid value for '{name}' parameter. "
            f"Each side must be {low} to {high} pixels, at most {max_bytes} bytes."
        )
        raise InputImageError(Fault("invalidReferenceImages", message, parameter=f"inputs.{name}"))
    return image


def _decode(data: bytes) -> Image.Image:
    # Just what Runware is documented to read: the gateway must convert everything else before.
    image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP"))
    if image.width * image.height > _MAX_PIXELS:
        raise ValueError
    image.load()
    return image


def _untransferable(name: str) -> Fault:
    message = f"Invalid value for '{name}' parameter. Failed to transfer the provided image."
    return Fault("failedToTransferImage", message, parameter=f"inputs.{name}")
