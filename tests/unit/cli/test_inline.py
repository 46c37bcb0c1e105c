"""Images in the terminal: which way a terminal can show them, and the bytes of each way, read back."""

import base64
import io
import re

import pytest
from PIL import Image

from app.cli.inline import Inline, encode_iterm, encode_kitty, encode_sixel, protocol_for


@pytest.mark.parametrize(
    ("variables", "way"),
    [
        pytest.param({"TERM": "xterm-256color"}, None, id="a plain one"),
        pytest.param({}, None, id="nothing known"),
        pytest.param({"TERM": "xterm-kitty"}, Inline.KITTY, id="kitty"),
        pytest.param({"KITTY_WINDOW_ID": "1"}, Inline.KITTY, id="a window of kitty"),
        pytest.param({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, Inline.KITTY, id="ghostty"),
        pytest.param({"TERM_PROGRAM": "iTerm.app"}, Inline.ITERM, id="iTerm2"),
        pytest.param({"LC_TERMINAL": "iTerm2"}, Inline.ITERM, id="iTerm2 over ssh"),
        pytest.param({"TERM_PROGRAM": "WezTerm"}, Inline.ITERM, id="WezTerm"),
        pytest.param({"TERM": "foot"}, Inline.SIXEL, id="foot"),
        pytest.param({"TERM": "xterm-sixel"}, Inline.SIXEL, id="a name that says it"),
        pytest.param({"TERM": "xterm-kitty", "TMUX": "/tmp/x"}, None, id="inside tmux"),
        pytest.param({"KITTY_WINDOW_ID": "1", "STY": "1"}, None, id="inside screen"),
    ],
)
def test_the_way_is_found_by_the_environment_and_never_for_a_pipe(variables, way):
    assert protocol_for(Inline.AUTO, variables, on_terminal=True) is way
    assert protocol_for(Inline.AUTO, variables, on_terminal=False) is None
    assert protocol_for(Inline.OFF, variables, on_terminal=True) is None
    assert protocol_for(Inline.SIXEL, variables, on_terminal=True) is Inline.SIXEL
    assert protocol_for(Inline.SIXEL, variables, on_terminal=False) is None


@pytest.fixture
def image():
    made = Image.effect_mandelbrot((90, 50), (-2, -1.5, 1, 1.5), 50).convert("RGBA")
    made.paste((200, 30, 40, 255), (10, 7, 30, 20))
    return made


def test_kittys_chunks_hold_the_whole_png(image):
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", "".join(encode_kitty(image)))
    assert chunks[0][0].startswith("a=T,f=100,m=")
    assert [head[-1] for head, _ in chunks] == ["1"] * (len(chunks) - 1) + ["0"]
    assert max(len(text) for _, text in chunks) <= 4096
    data = base64.b64decode("".join(text for _, text in chunks))
    assert Image.open(io.BytesIO(data)).tobytes() == image.tobytes()


def test_iterms_sequence_holds_the_whole_png(image):
    match = re.fullmatch(
        r"\x1b\]1337;File=inline=1;width=90px;height=50px;[^:]*:([^\x07]*)\x07", "".join(encode_iterm(image))
    )
    assert Image.open(io.BytesIO(base64.b64decode(match[1]))).tobytes() == image.tobytes()


def read_sixels(text: str) -> Image.Image:
    """The image that a terminal would draw."""
    body = re.fullmatch(r"\x1bPq(.*)\x1b\\", text, re.DOTALL)[1]
    width, height = map(int, re.match(r'"1;1;(\d+);(\d+)', body).groups())
    drawn, palette, color, x, y = Image.new("RGB", (width, height), "magenta"), {}, 0, 0, 0
    for token in re.finditer(
        r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)(.)|([$-])|([?-~])", body.partition(f"{width};{height}")[2]
    ):
        if token[1]:
            palette[int(token[1])] = tuple(round(int(token[place]) * 255 / 100) for place in (2, 3, 4))
        elif token[5]:
            color = int(token[5])
        elif token[8]:
            x, y = 0, y + (6 if token[8] == "-" else 0)
        else:
            count, character = (int(token[6]), token[7]) if token[6] else (1, token[9])
            for column in range(x, x + count):
                for bit in range(6):
                    if (ord(character) - 63) >> bit & 1:
                        drawn.putpixel((column, y + bit), palette[color])
            x += count
    return drawn


@pytest.mark.parametrize("size", [(90, 50), (1, 1), (7, 6), (64, 13)])
def test_sixels_draw_every_pixel_in_its_color(image, size):
    small = image.resize(size)
    drawn = read_sixels("".join(encode_sixel(small)))
    flat = Image.new("RGB", size, "black")
    flat.paste(small, mask=small.getchannel("A"))
    expected = flat.quantize(255).convert("RGB")
    assert drawn.size == size
    pairs = zip(drawn.tobytes(), expected.tobytes(), strict=True)
    assert max(abs(one - other) for one, other in pairs) <= 2, "palettes have a hundred steps"
