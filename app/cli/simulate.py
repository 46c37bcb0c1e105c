"""`spillway simulate`: the Runware simulator alone."""

from typing import Annotated

import typer
from rich.console import Console

from app.cli.settings import fail


def simulate(
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8001,
    latency: Annotated[float, typer.Option(help="Seconds each image takes.", min=0)] = 0.3,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    balance: Annotated[float, typer.Option(help="US dollars that the simulated account starts with.")] = 1000.0,
    exit_with_stdin: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Start the Runware simulator alone."""
    import asyncio
    import signal
    from contextlib import suppress
    from decimal import Decimal

    from app.simulator.serve import announcement
    from app.simulator.serve import serve as serve_simulator

    def announce(url: str) -> None:
        if exit_with_stdin:
            print(announcement(url), flush=True)  # noqa: T201 - the line the starting process reads
        else:
            Console().print(f"The Runware simulator answers at {url}/v1 with any key. Ctrl+C ends it.")

    async def serve_until_interrupted() -> None:
        serving = asyncio.ensure_future(
            serve_simulator(
                host,
                port,
                latency_seconds=latency,
                balance=Decimal(str(balance)),
                announce=announce,
                ends_with_stdin=exit_with_stdin,
            )
        )
        # By the loop, which it wakes: an interrupt in the moment before the loop waits is heard by nothing else.
        with suppress(NotImplementedError):  # Windows
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, serving.cancel)
        await serving

    try:
        asyncio.run(serve_until_interrupted())
    except (KeyboardInterrupt, asyncio.CancelledError):
        return
    except OSError as error:
        fail([f"Cannot listen on {host}:{port}: {error.strerror}."])
