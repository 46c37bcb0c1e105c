"""What all pages have in common, in a real browser."""

import pytest

from tests.browser.support import PHONE, WIDE

PAGES = ["/", "/playground", "/models", "/requests", "/usage", "/keys"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_page_fits_its_window_and_is_accessible(open_gateway, visit, scheme, size):
    """Without an error in the console and without a request to anybody else, which every test here asserts."""
    reader = visit(open_gateway.origin, color_scheme=scheme, viewport=size)
    for path in PAGES:
        reader.open(path)
        assert (path, reader.sideways()) == (path, 0)
        assert reader.findings() == []
