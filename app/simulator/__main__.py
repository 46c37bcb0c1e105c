"""`python -m app.simulator`: the simulator on a free port of loopback, for as long as its starting process lives."""

import asyncio

from app.simulator.serve import announcement, serve

_LATENCY_SECONDS = 0.3


def _announce(url: str) -> None:
    print(announcement(url), flush=True)  # noqa: T201 - the line the starting process reads


def main() -> None:
    """Serve until standard input closes."""
    asyncio.run(serve("127.0.0.1", 0, latency_seconds=_LATENCY_SECONDS, announce=_announce, ends_with_stdin=True))


if __name__ == "__main__":
    main()
