"""The ways out to the open internet, each kind with names and connections of its own: none waits for another."""

import ssl
from dataclasses import dataclass

from app.egress.address_guard import AddressGuard
from app.egress.download import ResultFetcher
from app.egress.fetch import InputFetcher
from app.egress.http_get import open_trust
from app.egress.names import Lookup, NameResolver, RememberingResolver
from app.settings.groups import ImageSettings, UpstreamSettings, WebhookSettings

_CALLERS_THREADS, _THREADS_PER_CALLER, _OWN_THREADS = 32, 8, 4
_CALLERS_WAIT_SECONDS, _OWN_WAIT_SECONDS = 5.0, 10.0


@dataclass(frozen=True, slots=True)
class WaysOut:
    """Images that callers name, results, images behind the store's links, webhooks, and the way to Runware itself."""

    inputs: InputFetcher
    results: ResultFetcher
    store: ResultFetcher
    """Goes wherever it is sent: the operator named the store, which may be inside."""
    webhooks: AddressGuard
    runware: RememberingResolver
    trust: ssl.SSLContext
    """Whom all of them trust, and webhooks."""

    async def close(self) -> None:
        """Give back all connections."""
        await self.inputs.close()
        await self.results.close()
        await self.store.close()


def open_ways(upstream: UpstreamSettings, images: ImageSettings, webhooks: WebhookSettings, lookup: Lookup) -> WaysOut:
    """The ways of a gateway with these settings; `lookup` finds the addresses of names."""
    # Names of callers have threads of their own: slow ones must not delay the name of Runware (0046).
    callers = NameResolver(
        threads=_CALLERS_THREADS, per_caller=_THREADS_PER_CALLER, wait=_CALLERS_WAIT_SECONDS, lookup=lookup
    )
    trust = open_trust()
    inputs = AddressGuard(allow_private=images.allow_private_input_urls, resolve=callers.resolve)
    return WaysOut(
        InputFetcher(inputs, max_bytes=images.max_image_bytes, trust=trust),
        ResultFetcher(
            _remembering(lookup).resolve,
            allow_private=images.allow_private_input_urls,
            provider_url=upstream.runware_base_url,
            trust=trust,
        ),
        ResultFetcher(_remembering(lookup).resolve, allow_private=True, trust=trust),
        AddressGuard(allow_private=webhooks.allow_private_webhooks, resolve=callers.resolve),
        _remembering(lookup),
        trust,
    )


def _remembering(lookup: Lookup) -> RememberingResolver:
    own = NameResolver(threads=_OWN_THREADS, per_caller=_OWN_THREADS, wait=_OWN_WAIT_SECONDS, lookup=lookup)
    return RememberingResolver(own.resolve)
