"""The parts of the playground that are pure, run where they run: in a browser, on the gateway's own files."""

import ast
import inspect
import json
import subprocess
import sys

import pytest
from openai.resources.images import Images
from playwright.sync_api import Page

EVENTS = '\ufeff: hello\r\n\r\nevent: a\r\ndata: {"x": "harbor \u00e9\u2028 \U0001f6a2"}\r\n\r\ndata: one\ndata:two\n\nid: 7\nevent: b\rdata\r\rdata:  three\n\n\n'
READ = [
    {"type": "a", "data": '{"x": "harbor \u00e9\u2028 \U0001f6a2"}'},
    {"type": "message", "data": "one\ntwo"},
    {"type": "b", "data": ""},
    {"type": "message", "data": " three"},
]
AWKWARD = [
    "plain",
    "it's",
    '"quoted"',
    "$HOME `ls` \\",
    "a\nb\tc",
    "@file;type=x",
    "",
    "-n",
    "\u00e9\u2028\U0001f6a2",
    "100%",
]


@pytest.fixture
def module_page(open_gateway, browser):
    """A page of the gateway, from which its scripts can be imported."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{open_gateway.origin}/playground")
    yield page
    context.close()


def call(page: Page, script: str, argument: object) -> object:
    """What a function makes of an argument; `it` is the module it comes from."""
    module, _, body = script.partition(":")
    return page.evaluate(
        f"async (given) => {{ const it = await import('./web/playground/{module}.js'); {body} }}", argument
    )


def test_events_are_read_whatever_the_pieces_they_come_in(module_page):
    read = """events:
        const bytes = new TextEncoder().encode(given);
        const found = [];
        for (const size of [1, 2, 3, 5, 7, 11, 64, bytes.length]) {
            const pieces = [];
            for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
            const body = new ReadableStream({ pull(out) { pieces.length ? out.enqueue(pieces.shift()) : out.close(); } });
            const events = [];
            for await (const event of it.readEvents(body)) events.push(event);
            found.push(events);
        }
        return found;"""
    assert call(module_page, read, EVENTS) == [READ] * 8


def test_an_event_that_breaks_off_is_none(module_page):
    read = """events:
        const events = [];
        for await (const event of it.readEvents(new Blob([given]).stream())) events.push(event.data);
        return events;"""
    assert call(module_page, read, "data: whole\n\ndata: half\n") == ["whole"]


def test_a_word_of_the_shell_is_one_word_whatever_is_in_it(module_page):
    words = call(module_page, "code: return given.map(it.quote);", AWKWARD)
    command = "for word in " + " ".join(words) + "; do printf '%s\\0' \"$word\"; done"
    printed = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=30).stdout
    assert printed.split("\0")[:-1] == AWKWARD


def test_a_literal_of_python_is_the_same_value(module_page):
    value = {
        "text": AWKWARD,
        "nested": [{"on": True, "off": False, "none": None, "half": 0.5, "__proto": -3}],
        "empty": [],
    }
    literal = call(module_page, "code: return it.python(given);", value)
    program = "import ast, json, sys; print(json.dumps(ast.literal_eval(sys.stdin.read())))"
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", program],
        input=str(literal),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert json.loads(done.stdout) == value


@pytest.mark.parametrize(
    ("path", "method", "images"), [("generations", Images.generate, []), ("edits", Images.edit, [{"name": "a.png"}])]
)
@pytest.mark.parametrize("fields", [{"model": "real-esrgan"}, {"prompt": "a boat", "n": 2, "seed": 7, "user": "ann"}])
def test_the_code_of_python_calls_the_sdk_with_what_it_takes(module_page, path, method, images, fields):
    more = {"style": "vivid", "moderation": "low", "input_fidelity": "high", "background": "opaque", "steps": 4}
    request = {"path": f"/v1/images/{path}", "fields": fields | more, "images": images, "mask": None}
    code = call(module_page, "code: return it.snippets(given, 'http://gateway/v1')[1].code;", request)
    (made,) = [
        node
        for node in ast.walk(ast.parse(str(code)))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("client.images.")
    ]
    given = {word.arg: word.value for word in made.keywords if word.arg}
    inspect.signature(method).bind(None, **given)
    body = ast.literal_eval(given.pop("extra_body"))
    assert set(given) | set(body) == set(fields) | set(more) | {"prompt", "response_format"} | (
        {"image"} if images else set()
    )


def test_files_have_names_that_are_safe_and_different(module_page):
    names = [
        "my harbor.png",
        "my harbor.png",
        "\u5199\u771f.png",
        '"; rm -rf ~ #.jpg',
        "mask.png",
        "image",
        "../../x.webp",
    ]
    shown = call(
        module_page,
        "code: const request = { path: '/v1/images/edits', fields: {}, images: given.map((name) => ({ name })), mask: { name: 'mask.png' } };"
        'return it.snippets(request, \'http://gateway/v1\')[0].code.match(/@"[^"]*"/g);',
        names,
    )
    expected = [
        "my-harbor.png",
        "my-harbor-2.png",
        "image.png",
        "rm--rf.jpg",
        "mask-2.png",
        "image",
        "x.webp",
        "mask.png",
    ]
    assert shown == [f'@"{name}"' for name in expected]


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        ({"total_cost_micros": 39000, "lowest_cost_micros": 39000, "confidence": "published"}, "$0.039"),
        ({"total_cost_micros": 600, "lowest_cost_micros": 600, "confidence": "estimated"}, "about $0.0006"),
        ({"total_cost_micros": 40000, "lowest_cost_micros": 20000, "confidence": "estimated"}, "$0.02 to $0.04"),
        ({"total_cost_micros": None, "lowest_cost_micros": None, "confidence": "unknown"}, "unknown"),
        ({"total_cost_micros": 0, "lowest_cost_micros": 0, "confidence": "published"}, "$0.00"),
    ],
)
def test_a_price_says_how_sure_it_is(module_page, estimate, words):
    assert call(module_page, "words: return it.priceInWords(given);", estimate) == words


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("guidance_scale", "Guidance scale"),
        ("maskMargin", "Mask margin"),
        ("trueCFGScale", "True CFG scale"),
        ("CFGScale", "CFG scale"),
        ("output_format", "Format"),
        ("lora", "Lora"),
    ],
)
def test_a_parameter_has_a_label_for_people(module_page, name, label):
    assert call(module_page, "words: return it.labelOf(given);", name) == label
