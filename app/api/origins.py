"""The address of this gateway in links to hosted images, as callers can reach it."""

from starlette.requests import Request

from app.observability.logs import get_logger
from app.server.hosts import KnownHosts, host_names
from app.settings.load import Settings

_logger = get_logger("http")


def known_hosts(settings: Settings) -> KnownHosts:
    """The names that the settings give the gateway."""
    return KnownHosts(host_names(settings.host, settings.public_url, settings.allowed_hosts))


class LinkOrigins:
    """Makes `scheme://host[:port]`: of the public URL, else of the name the caller used where it is a known one.

    A link is signed for this gateway, so it must not lead to a host that a caller, or a proxy's caller, made up.
    """

    def __init__(self, settings: Settings) -> None:
        self._public_url = settings.public_url
        self._hosts = known_hosts(settings)
        self._told = False

    def origin_for(self, request: Request) -> str:
        """The origin that the links of an answer to `request` have."""
        if self._public_url is not None:
            return self._public_url
        local, port = request.scope["server"] or ("127.0.0.1", None)
        named = request.headers.getlist("host")
        # A made-up Host header would put a signed link onto a stranger's server.
        if len(named) == 1 and self._hosts.knows(named[0], local):
            return f"{request.scope['scheme']}://{named[0]}"
        own = f"[{local}]" if ":" in local else local
        origin = f"{request.scope['scheme']}://{own}" + ("" if port is None else f":{port}")
        if named and not self._told:
            self._told = True
            advice = "set SPILLWAY_PUBLIC_URL, or add the host to SPILLWAY_ALLOWED_HOSTS"
            _logger.warning("links lead to the address listened on", host=named[0][:200], links=origin, advice=advice)
        return origin
