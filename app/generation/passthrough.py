"""Judges what stands inside fields that are passed on to Runware as they are.

No address may name the inner network. A link this gateway signed becomes the image itself, since Runware may not be
able to reach it. An image in a data URI leaves like any other: upright, and without what decoding does not need.
"""

import asyncio
from collections.abc import Mapping

import pybase64

from app.domain.words import JSONValue
from app.egress.address_guard import RefusedAddressError
from app.egress.fetch import InputFetcher
from app.errors import InvalidRequestError
from app.generation.gather import gather_in_order
from app.generation.image_work import ImageWork
from app.generation.own_links import OwnLinks
from app.images.formats.limits import Buffer
from app.images.formats.signatures import sniff
from app.images.geometry import ImageLimits
from app.images.headers import read_header
from app.images.inputs import fit_image, needs_nothing
from app.images.structure import clean_image
from app.planning.nested_addresses import addresses_in, data_uris_in, with_addresses

_MAX_ADDRESSES = 64
_RECEIVERS = ("uploadEndpoint", "webhookURL")
"""Fields whose addresses are sent to, not read from."""


class PassthroughFields:
    """Looks through the fields a caller passes through."""

    def __init__(self, fetcher: InputFetcher, links: OwnLinks, work: ImageWork) -> None:
        self._fetcher = fetcher
        self._links = links
        self._work = work

    async def settle(self, fields: Mapping[str, JSONValue], owner: str) -> Mapping[str, JSONValue]:
        """The fields with our own links replaced and images made clean.

        Raises InvalidRequestError for an address that leads inside and for an image that cannot be read.
        """
        images = list(data_uris_in(fields))
        cleaned = await gather_in_order([self._clean_one(path, text, owner) for path, text in images])
        changed = {path: text for (path, _), text in zip(images, cleaned, strict=True) if text is not None}
        return await self._settle_addresses(with_addresses(fields, changed) if changed else fields, owner)

    async def _settle_addresses(self, fields: Mapping[str, JSONValue], owner: str) -> Mapping[str, JSONValue]:
        found = list(addresses_in(fields))
        if not found:
            return fields
        # Each address is a name lookup: a list of thousands would use this gateway against name servers.
        if len(found) > _MAX_ADDRESSES:
            field = found[0][0].split("[")[0].split(".")[0]
            message = f"`{field}` and the fields beside it name more than {_MAX_ADDRESSES} addresses."
            raise InvalidRequestError(message, param=field)
        texts = await gather_in_order([self._settle_one(path, url, owner) for path, url in found])
        replaced = {path: text for (path, _), text in zip(found, texts, strict=True) if text is not None}
        return with_addresses(fields, replaced) if replaced else fields

    async def _clean_one(self, path: str, text: str, owner: str) -> str | None:
        """The image of a data URI as it may leave; None where it may as it is, or is none that is known here."""
        data = await asyncio.to_thread(_decode, text)
        header = await asyncio.to_thread(read_header, data) if data is not None else None
        if data is None or header is None:
            return None
        # No limits of the model: what a field of Runware's takes is Runware's to judge.
        limits = ImageLimits(self._work.max_pixels)
        if needs_nothing(header, limits):
            clean = await asyncio.to_thread(clean_image, data)
            if clean.is_sound:
                return None if clean.data is data else await asyncio.to_thread(_encode, clean.data, header.format)
        pixels = header.width * header.height or self._work.max_pixels
        fitted = await self._work.run_on_image(owner, path, header, pixels, fit_image, data, limits)
        return None if fitted.data is None else await asyncio.to_thread(_encode, fitted.data, fitted.format)

    async def _settle_one(self, path: str, url: str, owner: str) -> str | None:
        # Addresses that are written to must stay what they are.
        data = None if path in _RECEIVERS else await self._links.read_own(path, url)
        if data is not None:
            return await asyncio.to_thread(_encode, data, sniff(data) or "png")
        try:
            # Also what only Runware would fetch: results could carry back what an inner server says.
            await self._fetcher.check_address(url, owner)
        except RefusedAddressError as error:
            raise InvalidRequestError(f"`{path}` {error.reason}.", param=path) from None
        return None


def _decode(text: str) -> bytes | None:
    """The bytes of a data URI in base64; Runware judges any other."""
    head, comma, body = text.partition(",")
    if not comma or "base64" not in head.lower():
        return None
    try:
        return pybase64.b64decode("".join(body.split()), validate=True)
    except ValueError:
        return None


def _encode(data: Buffer, format_: str) -> str:
    return f"data:image/{format_};base64,{pybase64.b64encode(data).decode()}"
