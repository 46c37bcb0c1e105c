"""The files that images are written to: chosen and tried before anything is bought, filled at the end.

Owns names, endings and the errors of a file that cannot be written. Leaves asking and printing to `client`.
"""

import contextlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from app.cli.exits import CommandError, ExitCode
from app.openai_api.vocabulary import BY_NAME

_STDOUT = Path("-")
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
    force: bool = False
    """Files that are there are overwritten."""
    is_stdout: bool = False
    count: int = 1
    """How many images are expected."""

    def paths(self, count: int, own_name: str, format_: str) -> list[Path]:
        """The files of `count` images; an ending that says another format than `format_` gives way."""
        file = self.file or self.folder / f"{own_name}.{format_}"
        said = _FORMATS.get(file.suffix.lower())
        if said is not None and said != format_:
            file = file.with_suffix(f".{format_}")
        return [file] if count == 1 else [file.with_stem(f"{file.stem}-{number}") for number in range(1, count + 1)]

    def path(self, index: int, count: int, own_name: str, format_: str) -> Path:
        """The file of the image at `index` of `count`."""
        return self.paths(count, own_name, format_)[index]


def choose_target(output: Path | None, format_: str | None, *, force: bool = False, count: int = 1) -> Target:
    """The target that `-o` and `--format` name, raising TargetError where that cannot be made."""
    if output == _STDOUT:
        return _standard_output(format_, count)
    if output is None or os.path.isdir(output):  # noqa: PTH112 - of a name that is too long it says no
        return Target(output or Path(), None, format_, force, count=count)
    if output.suffix.lower() in _NOT_MADE:
        said = f"{output} ends in {output.suffix}, which is not made here: use {', '.join(_FORMATS)}."
        raise TargetError(said, ExitCode.WRONG_USE)
    ending = _FORMATS.get(output.suffix.lower())
    if ending is not None and format_ is not None and ending != _WORDS.get(format_.lower()):
        said = f"{output} ends in {output.suffix}, but --format is {format_}: make them say the same."
        raise TargetError(said, ExitCode.WRONG_USE)
    return Target(output.parent, output, format_ or ending, force, count=count)


def _standard_output(format_: str | None, count: int) -> Target:
    if count > 1:
        raise TargetError("Standard output takes one image: name a file or a folder.", ExitCode.WRONG_USE)
    if sys.stdout.isatty():
        said = "-o - writes the bytes of the image to standard output: send it to a file or a program."
        raise TargetError(said, ExitCode.WRONG_USE)
    return Target(Path(), _STDOUT, format_, is_stdout=True)


def try_target(target: Target) -> None:
    """See that the files can be written, raising TargetError before anything is bought; nothing is left behind."""
    if target.is_stdout:
        return
    own_name = f".spillway-{secrets.token_hex(4)}"
    with _tried_folder(target.folder) as folder:
        for path in target.paths(target.count, own_name, target.format or "png"):
            try:
                _try(folder / path.name, target)
            except (OSError, ValueError) as error:
                raise TargetError(f"{path} cannot be written: {_reason(error)}.") from None


def refuse_other_formats(target: Target, formats: Iterable[str]) -> None:
    """Raise TargetError where the file that is named ends in another format than images have that there are already."""
    file = target.file
    named = None if file is None else _FORMATS.get(file.suffix.lower())
    for format_ in formats:
        if file is not None and named not in {None, format_}:
            other = file.with_suffix(f".{format_}")
            said = f"{file} ends in {file.suffix}, but the image is {format_}: name the file {other}."
            raise TargetError(said, ExitCode.WRONG_USE)


@contextlib.contextmanager
def _tried_folder(folder: Path) -> Iterator[Path]:
    """The folder; for one that is to be made, another that is made like it where it would be, and removed again.

    Under a name of its own: removing the true one could take it from another command that is about to write into it.
    """
    # A link that leads nowhere is there, too: no folder can be made in its place.
    there = next((one for one in (folder, *folder.parents) if os.path.lexists(one)), Path())
    is_new = there != folder
    own = there / f".spillway-{secrets.token_hex(4)}"
    tried = own / folder.relative_to(there) if is_new else folder
    try:
        try:
            tried.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise TargetError(f"The folder {folder} cannot be made: {_reason(error)}.") from None
        yield tried
    finally:
        if is_new:
            shutil.rmtree(own, ignore_errors=True)


def _try(path: Path, target: Target) -> None:
    # Of a link, the file that it leads to: trying must not remove the link.
    final = path.resolve()
    is_new = not final.exists()
    if not (is_new or final.is_file() or final.is_dir()):  # such as /dev/stdout, or a pipe that nobody reads yet
        return
    if final.is_file() and not target.force:
        raise _taken(path)
    # Appending changes nothing of a file that is there.
    with final.open("ab"):
        pass
    if is_new:
        final.unlink()


def write_image(path: Path, data: bytes, target: Target) -> None:
    """Write an image whole or not at all, raising TargetError; a file that is there stays, unless it is forced."""
    try:
        if target.is_stdout:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, data, force=target.force)
    except FileExistsError:
        raise _taken(path) from None
    except (OSError, ValueError) as error:
        raise TargetError(f"{path} cannot be written: {_reason(error)}.") from None


def _write(path: Path, data: bytes, *, force: bool) -> None:
    final = path.resolve()
    if final.exists() and not final.is_file():  # such as /dev/stdout
        with final.open("wb") as file:
            file.write(data)
        return
    beside = final.with_name(f".{secrets.token_hex(8)}.part")
    try:
        # Beside the target and then put in its place: a full disk leaves the old file whole.
        beside.write_bytes(data)
        if force:
            beside.replace(final)
        else:
            _put(beside, final)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def _put(beside: Path, final: Path) -> None:
    """Give the file its name, unless somebody has taken that meanwhile."""
    try:
        final.hardlink_to(beside)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links. Made empty first, so that nobody else's file is ever replaced.
        final.touch(exist_ok=False)
        beside.replace(final)
    else:
        beside.unlink()


def _taken(path: Path) -> TargetError:
    return TargetError(f"{path} is there already: choose another name, or --force to overwrite it.")


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
