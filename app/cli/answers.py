"""The images of an answer: written as they come, told at the end with what they cost, shown and opened where asked.

What could not be written is still kept by the gateway, and the command that gets it is told.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.exits import CommandError, ExitCode, code_of_event
from app.cli.gateway import JSONObject, how_to_collect
from app.cli.inline import Inline, protocol_for, show_inline
from app.cli.tables import plain_console, say
from app.cli.targets import Target, write_image
from app.cli.texts import show_money, show_seconds, whole

if TYPE_CHECKING:
    from app.cli.session import Session


class Delivery:
    """Takes the answer of a purchase, or the events of its stream one by one."""

    def __init__(
        self,
        session: Session,
        target: Target,
        *,
        as_json: bool,
        inline: Inline = Inline.AUTO,
        opens: bool = False,
    ) -> None:
        self._session = session
        self._target = target
        self._as_json = as_json
        self._protocol = None if as_json else protocol_for(inline, os.environ, on_terminal=sys.stdout.isatty())
        self._opens = opens
        self._answer: JSONObject = {"data": []}
        self._written: dict[int, tuple[Path, bytes]] = {}
        self._errors: list[JSONObject] = []
        self.failures: list[JSONObject] = []

    def take(self, item: JSONObject) -> None:
        """Write what came: all images of an answer, or the one of an event."""
        if item.get("type") == "error":
            self._errors.append(item["error"])
        elif "index" in item:
            self._add(item)
            self._write(item, int(item["index"]), int(item["index"]) + 1)
        else:
            self._answer = item
            items = item.get("data") or []
            self.failures = (item.get("metadata") or {}).get("errors", [])
            for index, one in enumerate(items):
                self._write(one, index, len(items))

    def end(self, seconds: float | None = None) -> None:
        """Tell where the images are and what they cost; `seconds` is how long they took."""
        if self._errors:
            self._fail(self._errors)
        paths = [path for _, (path, _) in sorted(self._written.items())]
        if self._as_json:
            self._print_json(paths)
        else:
            self._tell(paths, seconds)
        if self._opens and not self._target.is_stdout:
            open_files(paths)

    def _add(self, event: JSONObject) -> None:
        """Count an event into the answer, whose metadata is then that of all."""
        image = {name: value for name, value in event.items() if name in _OF_AN_IMAGE}
        self._answer["data"].append(image)
        metadata = event.get("metadata") or {}
        if "id" not in self._answer:
            rest = {name: value for name, value in event.items() if name not in _OF_AN_EVENT and name not in image}
            self._answer = {**rest, "data": self._answer["data"], "metadata": {**metadata}}
            return
        whole_ = self._answer["metadata"]
        costs = (whole_.get("cost"), metadata.get("cost"))
        known = None not in costs
        whole_["cost"] = float(sum(Decimal(str(one)) for one in costs)) if known else None
        for name in ("adjustments", "task_uuids", "attempts"):
            whole_[name] = [*whole_.get(name, []), *(one for one in metadata.get(name, []) if one not in whole_[name])]

    def _write(self, item: JSONObject, index: int, count: int) -> None:
        request_id = str(self._answer.get("id", ""))
        try:
            data = self._session.bytes_of(item)
            own_name = f"spillway-{request_id.removeprefix('req_')[-12:]}"  # the digits that no other id has
            format_ = str(item.get("output_format") or self._answer.get("output_format", "png"))
            path = self._target.path(index, max(count, self._target.count), own_name, format_)
            write_image(path, data, self._target)
            self._written[index] = path, data
        # It has been paid for: whatever failed here, say how to get it.
        except CommandError as error:
            raise CommandError(f"{error} {how_to_collect(request_id)}", code=error.code) from None

    def _fail(self, errors: list[JSONObject]) -> None:
        """The errors that ended a stream: of single images, or of the request where there is none."""
        if not self._written:
            error = errors[0]
            said = f"{error.get('message', 'The request failed.')} [{error.get('code')}, {self._answer.get('id', '')}]"
            raise CommandError(said, code=code_of_event(error))
        self.failures = errors

    def _print_json(self, paths: Sequence[Path]) -> None:
        # The images are in the files; megabytes of base64 would bury the rest.
        items = self._answer.get("data") or []
        shown = [{name: value for name, value in item.items() if name != "b64_json"} for item in items]
        told = {**self._answer, "data": shown, "files": [str(path) for path in paths]}
        # Not by Rich, which would break long lines and no longer be JSON.
        print(json.dumps(told, indent=2), file=sys.stderr if self._target.is_stdout else sys.stdout)

    def _tell(self, paths: Sequence[Path], seconds: float | None) -> None:
        """Print what was made, for how much, what was adjusted, and where it is."""
        errors = self._target.is_stdout
        console = plain_console(errors=errors)
        if not self._target.is_stdout:
            for _, (path, data) in sorted(self._written.items()):
                if self._protocol is not None:
                    show_inline(self._protocol, data)
                console.print(str(path))
        metadata = self._answer.get("metadata") or {}
        cost = "cost unknown" if metadata.get("cost") is None else f"cost ${show_money(metadata['cost'])}"
        count = f"{len(paths)} image{'' if len(paths) == 1 else 's'}"
        model, size = metadata.get("model", "model unknown"), self._answer.get("size", "size unknown")
        facts = [str(model), str(size), count, cost, *([show_seconds(seconds)] if seconds else [])]
        say(whole(", ".join(facts)), errors=errors)
        for one in metadata.get("adjustments", []):
            say(whole(f"{one['param']} {one['mode']}: {one['reason']}"), errors=errors)
        for one in self.failures:
            say(whole(f"{self._which(one)} failed: {one['message']}"), errors=errors, color="red")
        console.print(f"{self._session.address.pages}/requests/{self._answer.get('id', '')}")

    def _which(self, failure: JSONObject) -> str:
        """The image that a failure is of; a stream ends with one for all that did not come, and says not which."""
        if "index" in failure:
            return f"image {failure['index'] + 1}"
        missing = self._target.count - len(self._written)
        return f"{missing} images" if missing > 1 else "an image"


_OF_AN_IMAGE = frozenset({"b64_json", "index", "seed", "image_uuid", "nsfw_content", "provider_fields", "url"})
_OF_AN_EVENT = frozenset({"type", "usage", "quality", "background", "metadata"})


def open_files(paths: Sequence[Path]) -> None:
    """Show files with whatever this desktop shows images with."""
    opener = next((found for found in map(shutil.which, ("xdg-open", "open", "wslview")) if found), None)
    if opener is None:
        say("There is no program here that opens images (xdg-open, open).", errors=True)
        return
    for path in paths:
        try:
            subprocess.Popen(  # noqa: S603 - the desktop's own program, on a file that was just written
                [opener, str(path.resolve())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise CommandError(f"{opener} does not start: {error.strerror}.", code=ExitCode.OTHER) from None
