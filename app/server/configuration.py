"""How the server is set up: one place for production and tests."""

from typing import Literal, TypedDict

from app.server.connection import GatewayProtocol
from app.settings.server import ServerSettings


class ServerOptions(TypedDict):
    """uvicorn's options, beside the application and the number of processes."""

    host: str
    port: int
    http: type[GatewayProtocol]
    interface: Literal["asgi3"]
    ws: str
    log_config: None
    log_level: str
    access_log: bool
    server_header: bool
    date_header: bool
    timeout_keep_alive: int
    timeout_graceful_shutdown: int
    forwarded_allow_ips: list[str]


def server_options(server: ServerSettings) -> ServerOptions:
    """The server of a gateway with these settings. There are no web sockets here, so an offer of one is passed over."""
    return {
        "host": server.host,
        "port": server.port,
        "http": GatewayProtocol,
        # Said, since it cannot be seen: what answers need not be a function that is a coroutine itself.
        "interface": "asgi3",
        # An offer of another protocol is read as the request it also is.
        "ws": "none",
        "log_config": None,
        "log_level": "warning",
        # The middleware writes a line of its own, with the id that the caller got.
        "access_log": False,
        # What answers here, and in which version, is for nobody to choose an attack by.
        "server_header": False,
        "date_header": False,
        "timeout_keep_alive": server.keep_alive,
        # uvicorn takes whole seconds, and 0 would cut off the answers that are being sent.
        "timeout_graceful_shutdown": max(1, round(server.grace)),
        # Only processes of this machine come from loopback: a proxy there is the operator's own.
        "forwarded_allow_ips": ["127.0.0.0/8", "::1", *(str(network) for network in server.trusted_proxies)],
    }
