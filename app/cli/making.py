"""A purchase under way: in a thread of its own, so that time is shown meanwhile and an interrupt is heard at once.

On a terminal a line for each image tells whether it waits, how long it has been made, and what it cost. Elsewhere there
are no lines.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from app.cli.exits import CommandError
from app.cli.gateway import JSONObject, how_to_collect
from app.cli.session import Purchase, Session, how_to_repeat
from app.cli.tables import plain_console
from app.cli.texts import plain, show_money, show_seconds

_TICK_SECONDS = 0.2
_GLANCE_SECONDS = 1.0


class Lines:
    """What is known of each image, one line each."""

    def __init__(self, count: int) -> None:
        self.state = "sent"
        self._ends: dict[int, Text] = {}
        self._count = count

    def end(self, index: int, said: str, color: str) -> None:
        """The image at `index` is there, or will never be."""
        self._ends[index] = Text(said, style=color)
        self._count = max(self._count, index + 1)

    def end_rest(self, said: str, color: str) -> None:
        """Whatever has no end yet will have no other one."""
        for index in range(self._count):
            if index not in self._ends:
                self.end(index, said, color)

    def shown(self, seconds: float) -> Group:
        """All lines, `seconds` after the request was sent."""
        running = Text(self.state if self.state == "queued" else f"{self.state} {seconds:.0f} s")
        lines = (
            Text.assemble(f"image {index + 1}  ", self._ends.get(index, running), overflow="ellipsis", no_wrap=True)
            for index in range(self._count)
        )
        return Group(*lines)


class Making:
    """Buys in a thread; `clock` is in seconds."""

    def __init__(
        self, session: Session, purchase: Purchase, count: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._session = session
        self._purchase = purchase
        self._clock = clock
        self._began = clock()
        self._lines = Lines(count)
        self._request_id = ""
        self._came: queue.SimpleQueue[JSONObject | Exception | None] = queue.SimpleQueue()
        self.seconds = 0.0
        """How long it took."""

    def items(self, *, streamed: bool) -> Iterator[JSONObject]:
        """The answer, or each event of its stream, as it comes."""
        threading.Thread(target=self._work, args=(streamed,), daemon=True).start()
        console = plain_console(errors=True)
        try:
            if console.is_terminal and not console.is_dumb_terminal:
                yield from self._watched(console)
            else:
                while (item := self._next()) is not None:
                    yield item
        except KeyboardInterrupt:
            more = f" Or later: {how_to_collect(self._request_id)}" if self._request_id else ""
            raise CommandError(how_to_repeat("Stopped.", self._purchase) + more) from None

    def _work(self, streamed: bool) -> None:  # noqa: FBT001 - a thread passes no keywords
        try:
            if streamed:
                for event in self._session.stream(self._purchase):
                    self._came.put(event)
            else:
                self._came.put(self._session.buy(self._purchase))
            self._came.put(None)
        # Whatever it is, the thread that waits must hear of it.
        except Exception as error:  # noqa: BLE001
            self._came.put(error)

    def _next(self, timeout: float | None = None) -> JSONObject | None:
        found = self._came.get(timeout=timeout)
        self.seconds = self._clock() - self._began
        if isinstance(found, Exception):
            raise found
        return found

    def _watched(self, console: Console) -> Iterator[JSONObject]:
        """The same, with its lines kept up to date."""
        next_glance = self._began + _GLANCE_SECONDS
        with Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
            while True:
                live.update(self._lines.shown(self._clock() - self._began), refresh=True)
                try:
                    item = self._next(_TICK_SECONDS)
                except queue.Empty:
                    if self._clock() >= next_glance:
                        self._look()
                        next_glance = self._clock() + _GLANCE_SECONDS
                    continue
                if item is None:
                    # Fewer came than were asked for: what still counted its seconds would seem to be on its way.
                    self._lines.end_rest("failed", "red")
                    live.update(self._lines.shown(self.seconds), refresh=True)
                    return
                self._note(item)
                live.update(self._lines.shown(self.seconds), refresh=True)
                # Above the lines, whatever is printed of it meanwhile.
                yield item

    def _look(self) -> None:
        """Ask how far it is: whether it waits or is being made, and under which id."""
        record = self._session.find_asked(self._purchase.key)
        if record is not None:
            self._request_id = record["id"]
            self._lines.state = {"queued": "queued", "processing": "running"}.get(record["status"], self._lines.state)

    def _note(self, item: JSONObject) -> None:
        took = show_seconds(self.seconds)
        if item.get("type") == "error":
            said = f"failed  {plain(item['error'].get('message'))}"
            if "index" in item["error"]:
                self._lines.end(int(item["error"]["index"]), said, "red")
            else:
                # The last event of a stream, one for all images that did not come.
                self._lines.end_rest(said, "red")
            return
        if "index" in item:
            self._lines.end(int(item["index"]), f"done  {took}  {_cost(item, 1)}", "green")
            return
        failed = {int(one["index"]): one for one in (item.get("metadata") or {}).get("errors", [])}
        for index, one in failed.items():
            self._lines.end(index, f"failed  {plain(one['message'])}", "red")
        made = len(item.get("data") or [])
        tasks = (item.get("metadata") or {}).get("task_uuids", [])
        for index in (one for one in range(made + len(failed)) if one not in failed):
            self._lines.end(
                index, f"done  {took}  {_cost(item, made) if made == 1 or len(tasks) == 1 else ''}".rstrip(), "green"
            )


def _cost(item: JSONObject, images: int) -> str:
    """What one of so many images cost, empty where only all of them together can be told."""
    cost = (item.get("metadata") or {}).get("cost")
    if cost is None:
        return ""
    each = Decimal(str(cost)) / images
    return f"${show_money(each)}" if each * images == Decimal(str(cost)) and len(str(each)) < 14 else ""  # noqa: PLR2004
