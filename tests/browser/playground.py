"""What the tests of the playground share: its page with names for what a person does there."""

import base64
import uuid
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

from tests.browser.support import Visit, Visitor

REFUSED = ("status of 400", "status of 404")
"""Chromium's own lines about answers that a test asks for."""


@dataclass(frozen=True)
class Playground:
    """The page, and what is done on it."""

    page: Page

    def field(self, name: str) -> Locator:
        """A control by its label."""
        return self.page.get_by_label(name, exact=True)

    def button(self, name: str) -> Locator:
        """A button by its name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def choose(self, search: str, name: str) -> None:
        """Choose a model by searching for it, with the keyboard alone."""
        picker = self.page.get_by_role("combobox", name="Model")
        picker.fill(search)
        picker.press("ArrowDown")
        picker.press("Enter")
        expect(picker).to_have_value(name)

    def add(self, name: str, data: bytes, media_type: str = "image/png") -> None:
        """Pick a file, and wait until it is there."""
        self.field("Images").set_input_files([{"name": name, "mimeType": media_type, "buffer": data}])
        expect(self.page.get_by_role("list", name="Inputs in order").get_by_text(name, exact=True)).to_be_visible()

    def drag(self, over: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag the pointer over something, from and to parts of its width and height."""
        over.scroll_into_view_if_needed()
        box = over.bounding_box()
        assert box is not None
        points = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in (start, end)]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        self.page.mouse.move(*points[1], steps=10)
        self.page.mouse.up()

    def generate(self) -> None:
        """Send what the form says."""
        self.button("Generate").click()

    @property
    def price(self) -> Locator:
        """The price before sending."""
        return self.page.get_by_label("Price", exact=True)

    @property
    def images(self) -> Locator:
        """The images that exist so far."""
        return self.page.get_by_role("button", name="Open image")

    @property
    def inputs(self) -> Locator:
        """The images to edit, in order."""
        return self.page.get_by_role("list", name="Inputs in order").get_by_role("listitem")

    def code(self, language: str) -> Locator:
        """The same request as code."""
        self.page.get_by_role("tab", name=language, exact=True).click()
        return self.page.get_by_role("region", name=language, exact=True)


def enter(
    visit: Visitor, origin: str, query: str = "", lines: tuple[str, ...] = (), **options: object
) -> tuple[Playground, Visit]:
    """The playground of a gateway, once it knows its model; `lines` may stand in the console."""
    reader = visit(origin, expected=REFUSED + lines, **options)
    reader.open(f"/playground{query}")
    expect(reader.page.get_by_role("combobox", name="Model")).not_to_have_value("")
    # The price is asked for when everything else is there.
    expect(reader.page.get_by_label("Price", exact=True)).not_to_have_text("…")
    return Playground(reader.page), reader


def new_prompt(words: str = "a quiet harbor", marks: str = "") -> str:
    """A prompt nobody else has."""
    return f"{words} {uuid.uuid4().hex[:12]}{marks}"


def hand_over(page: Page, event: str, name: str, data: bytes, text: str = "") -> None:
    """Drop or paste a file on the page, as a browser would, with the text that may come along."""
    page.evaluate(
        """([event, name, data, text]) => {
            const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, { type: "image/png" }));
            if (text) transfer.setData("text/plain", text);
            const more = { bubbles: true, cancelable: true };
            const made = event === "paste"
                ? new ClipboardEvent(event, { ...more, clipboardData: transfer })
                : new DragEvent(event, { ...more, dataTransfer: transfer });
            document.activeElement.dispatchEvent(made);
        }""",
        [event, name, base64.b64encode(data).decode(), text],
    )
