"""The files that images are written to."""

from pathlib import Path

import pytest

from app.cli.targets import Target, TargetError, choose_target, refuse_other_formats, try_target, write_image


@pytest.mark.parametrize(
    ("output", "format_", "asked"),
    [
        (None, None, None),
        (None, "gif", "gif"),
        ("x.webp", None, "webp"),
        ("x.jpg", "jpeg", "jpeg"),
        ("x.jpg", "JPG", "JPG"),
        ("x.bin", None, None),
        ("x", "avif", "avif"),
    ],
)
def test_the_format_asked_for(output, format_, asked):
    assert choose_target(Path(output) if output else None, format_).format == asked


@pytest.mark.parametrize("ending", ["tiff", "BMP", "heic", "pdf"])
def test_an_ending_of_images_that_are_not_made_here_is_refused(ending):
    with pytest.raises(TargetError, match=rf"cat\.{ending} ends in .*use \.png"):
        choose_target(Path(f"cat.{ending}"), None)


def test_an_ending_that_says_no_format_gets_the_default():
    assert choose_target(Path("cat.v2"), None).format is None


def test_an_ending_and_a_format_that_contradict_each_other_are_refused():
    with pytest.raises(TargetError, match="--format is png"):
        choose_target(Path("x.webp"), "png")


@pytest.mark.parametrize(
    ("file", "count", "format_", "paths"),
    [
        ("a/x.png", 1, "png", ["a/x.png"]),
        ("a/x.png", 2, "png", ["a/x-1.png", "a/x-2.png"]),
        ("a/x.jpg", 1, "jpeg", ["a/x.jpg"]),
        ("a/x.png", 1, "svg", ["a/x.svg"]),
        ("a/x.v2", 1, "png", ["a/x.v2"]),
        (None, 1, "webp", ["a/own.webp"]),
    ],
    ids=["one", "several", "jpg-is-jpeg", "another-format-came", "unknown-ending", "own-name"],
)
def test_the_names_of_the_files(file, count, format_, paths):
    target = Target(Path("a"), Path(file) if file else None, None)
    assert target.paths(count, "own", format_) == [Path(path) for path in paths]


def target(folder: Path, name: str, **more) -> Target:
    return Target(folder, folder / name, None, **more)


def test_trying_leaves_nothing_behind_and_harms_nothing(tmp_path):
    (tmp_path / "x-1.png").write_bytes(b"old")
    try_target(target(tmp_path, "x.png", count=2, force=True))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x-1.png", b"old")]


def test_trying_a_folder_that_is_to_be_made_leaves_none_behind(tmp_path):
    new = target(tmp_path / "new" / "deep", "x.png", count=2)
    try_target(new)
    assert [*tmp_path.iterdir()] == []
    write_image(tmp_path / "new" / "deep" / "x.png", b"new", new)
    assert (tmp_path / "new" / "deep" / "x.png").read_bytes() == b"new"


@pytest.mark.parametrize(
    "name", ["file", "nowhere", "l" * 300], ids=["a file", "a link that leads nowhere", "too long"]
)
@pytest.mark.parametrize("below", ["", "deep"], ids=["itself", "below it"])
def test_a_folder_that_cannot_be_made_is_told_and_nothing_is_left(tmp_path, name, below):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "nowhere").symlink_to(tmp_path / "away" / "further")
    with pytest.raises(TargetError, match="cannot be made"):
        try_target(target(tmp_path / name / below, "x.png"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "nowhere"]


@pytest.mark.parametrize(
    ("file", "formats", "refused"),
    [
        ("x.jpg", ["png"], True),
        ("x.png", ["png", "webp"], True),
        ("x.jpg", ["jpeg"], False),
        ("x.v2", ["png"], False),
        ("x", ["png"], False),
        (None, ["png"], False),
    ],
    ids=["another", "one of several", "jpg is jpeg", "no ending of an image", "no ending", "a folder"],
)
def test_a_file_whose_name_says_another_format_than_the_image_has_is_refused(tmp_path, file, formats, refused):
    named = Target(tmp_path, tmp_path / file if file else None, None)
    if refused:
        with pytest.raises(TargetError, match="name the file") as caught:
            refuse_other_formats(named, formats)
        assert caught.value.code == 2
    else:
        refuse_other_formats(named, formats)


def test_a_file_that_is_there_is_no_target_unless_it_is_forced(tmp_path):
    (tmp_path / "x-2.png").write_bytes(b"old")
    with pytest.raises(TargetError, match=r"x-2\.png is there already: .*--force"):
        try_target(target(tmp_path, "x.png", count=2))
    try_target(target(tmp_path, "x.png", count=1))


def test_trying_a_link_that_leads_nowhere_leaves_the_link(tmp_path):
    (tmp_path / "x.png").symlink_to(tmp_path / "there.png")
    try_target(target(tmp_path, "x.png"))
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]
    write_image(tmp_path / "x.png", b"new", target(tmp_path, "x.png"))
    assert (tmp_path / "there.png").read_bytes() == b"new"


def test_a_file_that_came_between_trying_and_writing_stays(tmp_path):
    try_target(target(tmp_path, "x.png"))
    (tmp_path / "x.png").write_bytes(b"of somebody else")
    with pytest.raises(TargetError, match="is there already"):
        write_image(tmp_path / "x.png", b"new", target(tmp_path, "x.png"))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.png", b"of somebody else")]
    write_image(tmp_path / "x.png", b"new", target(tmp_path, "x.png", force=True))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.png", b"new")]


def test_an_image_that_cannot_be_written_whole_leaves_nothing(tmp_path):
    (tmp_path / "y.png").mkdir()
    with pytest.raises(TargetError, match=r"y\.png cannot be written"):
        write_image(tmp_path / "y.png", b"new", target(tmp_path, "y.png"))
    assert [path.name for path in tmp_path.iterdir()] == ["y.png"]


def test_standard_output_takes_one_image():
    with pytest.raises(TargetError, match="takes one image"):
        choose_target(Path("-"), None, count=2)
    assert choose_target(Path("-"), "webp").is_stdout
