"""The files that images are written to: chosen and tried before anything is bought, filled at the end.

Owns names, endings and the errors of a file that cannot be written. Leaves asking and printing to `client`.
"""

import contextlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.cli.exits import CommandError, ExitCode
from app.openai_api.vocabulary import BY_NAME

_WORDS = {word: str(format_) for word, format_ in BY_NAME["output_format"].choices.items()}
_FORMATS = {**{f".{word}": format_ for word, format_ in _WORDS.items()}, ".jfif": "jpeg"}
# Endings of image files that would say what their bytes are not.
_NOT_MADE = frozenset({".apng", ".bmp", ".heic", ".heif", ".ico", ".jp2", ".jxl", ".pdf", ".psd", ".tif", ".tiff"})


class TargetError(CommandError):
    """A file cannot be written."""

    def __init__(self, message: str, code: int = ExitCode.UNWRITABLE) -> None:
        super().__init__(message, code=code)


@dataclass(frozen=True, slots=True)
class Target:
    """Where images go: to `file` (several get -1, -2, … before its ending), else under names of our own in `folder`."""

    folder: Path
    file: Path | None
    format: str | None
    """What to ask for: the format named, else what the ending of the file says."""

    def paths(self, count: int, own_name: str, format_: str) -> list[Path]:
        """The files of `count` images; an ending that says another format than `format_` gives way."""
        file = self.file or self.folder / f"{own_name}.{format_}"
        said = _FORMATS.get(file.suffix.lower())
        if said is not None and said != format_:
            file = file.with_suffix(f".{format_}")
        return [file] if count == 1 else [file.with_stem(f"{file.stem}-{number}") for number in range(1, count + 1)]


def choose_target(output: Path | None, format_: str | None) -> Target:
    """The target that `-o` and `--format` name, raising TargetError where that cannot be made."""
    if output is None or os.path.isdir(output):  # noqa: PTH112 - of a name that is too long it says no
        return Target(output or Path(), None, format_)
    if output.suffix.lower() in _NOT_MADE:
        raise TargetError(
            f"{output} ends in {output.suffix}, which is not made here: use {', '.join(_FORMATS)}.", ExitCode.WRONG_USE
        )
    said = _FORMATS.get(output.suffix.lower())
    if said is not None and format_ is not None and said != _WORDS.get(format_.lower()):
        raise TargetError(
            f"{output} ends in {output.suffix}, but --format is {format_}: make them say the same.", ExitCode.WRONG_USE
        )
    return Target(output.parent, output, format_ or said)


def try_target(target: Target, count: int) -> None:
    """Make the folder and see that its files can be written, raising TargetError before anything is bought."""
    format_ = target.format or "png"
    own_name = f".spillway-{secrets.token_hex(4)}"
    try:
        target.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TargetError(f"The folder {target.folder} cannot be made: {_reason(error)}.") from None
    for path in target.paths(count, own_name, format_):
        try:
            is_new = not path.exists()
            if not (is_new or path.is_file() or path.is_dir()):  # such as /dev/stdout, or a pipe that nobody reads yet
                continue
            # Appending changes nothing of a file that is there.
            with path.open("ab"):
                pass
            if is_new:
                path.unlink()
        except (OSError, ValueError) as error:
            raise TargetError(f"{path} cannot be written: {_reason(error)}.") from None


def write_images(paths: Sequence[Path], images: Sequence[bytes]) -> None:
    """Write each image whole or not at all, raising TargetError at the first that fails."""
    for path, data in zip(paths, images, strict=True):
        try:
            _write(path, data)
        except (OSError, ValueError) as error:
            raise TargetError(f"{path} cannot be written: {_reason(error)}.") from None


def _write(path: Path, data: bytes) -> None:
    if path.exists() and not path.is_file():  # such as /dev/stdout
        with path.open("wb") as file:
            file.write(data)
        return
    final = path.resolve()
    beside = final.with_name(f".{secrets.token_hex(8)}.part")
    try:
        # Beside the target and then renamed: a full disk leaves the old file whole.
        beside.write_bytes(data)
        beside.replace(final)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
