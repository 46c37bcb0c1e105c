"""HTTP to servers of this machine, without reading the certificates of the world for each question."""

import httpx2

_ONE_BY_ONE = httpx2.Client(verify=False, limits=httpx2.Limits(max_keepalive_connections=0))
get, post, options, request = _ONE_BY_ONE.get, _ONE_BY_ONE.post, _ONE_BY_ONE.options, _ONE_BY_ONE.request
"""As those of httpx2: each on a connection of its own."""


def client(**settings: object) -> httpx2.Client:
    """A client that keeps its connections."""
    return httpx2.Client(verify=False, **settings)
