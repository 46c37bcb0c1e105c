"""Judges the addresses inside fields that are passed on to Runware as they are: none may name the inner network.

A link this gateway signed becomes the image itself, since Runware may not be able to reach it.
"""

import asyncio
from collections.abc import Mapping

import pybase64

from app.domain.request import JSONValue
from app.egress.address_guard import RefusedAddressError
from app.egress.fetch import InputFetcher
from app.errors import InvalidRequestError
from app.generation.gather import gather_in_order
from app.generation.own_links import OwnLinks
from app.images.formats.signatures import sniff
from app.planning.nested_addresses import addresses_in, with_addresses

_MOST_ADDRESSES = 64
_RECEIVERS = ("uploadEndpoint", "webhookURL")
"""Fields whose addresses are sent to, not read from."""


class PassedFields:
    """Looks through the fields a caller passes on."""

    def __init__(self, fetcher: InputFetcher, links: OwnLinks) -> None:
        self._fetcher = fetcher
        self._links = links

    async def settle(self, fields: Mapping[str, JSONValue], owner: str) -> Mapping[str, JSONValue]:
        """The fields with our own links replaced, raising InvalidRequestError for an address that leads inside."""
        found = list(addresses_in(fields))
        if not found:
            return fields
        # Each address is a name lookup: a list of thousands would use this gateway against name servers.
        if len(found) > _MOST_ADDRESSES:
            field = found[0][0].split("[")[0].split(".")[0]
            message = f"`{field}` and the fields beside it name more than {_MOST_ADDRESSES} addresses."
            raise InvalidRequestError(message, param=field)
        texts = await gather_in_order([self._settle_one(path, url, owner) for path, url in found])
        replaced = {path: text for (path, _), text in zip(found, texts, strict=True) if text is not None}
        return with_addresses(fields, replaced) if replaced else fields

    async def _settle_one(self, path: str, url: str, owner: str) -> str | None:
        # Addresses that are written to must stay what they are.
        data = None if path in _RECEIVERS else await self._links.read(path, url)
        if data is not None:
            text = await asyncio.to_thread(pybase64.b64encode, data)
            return f"data:image/{sniff(data) or 'png'};base64,{text.decode()}"
        try:
            # Also what only Runware would fetch: results could carry back what an inner server says.
            await self._fetcher.check(url, owner)
        except RefusedAddressError as error:
            raise InvalidRequestError(f"`{path}` {error.reason}.", param=path) from None
        return None
