"""The pages that show the OpenAPI document: complete without the internet."""

import re
from urllib.parse import urljoin

import pytest

from tests.support import loopback


@pytest.mark.parametrize("page", ["/docs", "/docs/", "/redoc", "/v1/docs"])
def test_a_page_is_made_of_nothing_but_what_the_gateway_serves(gateway, page):
    answer = loopback.get(f"{gateway.origin}{page}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "https://" not in answer.text
    assert "http://" not in answer.text
    named = re.findall(r'(?:src|href|data-document)="([^"]+)"', answer.text)
    assert len(named) >= 4
    for address in named:
        part = loopback.get(urljoin(str(answer.url), address))
        assert part.status_code == 200, address
        assert len(part.content) > 100
    assert any(address.endswith("openapi.json") for address in named)


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_browser_is_told_to_run_scripts_of_files_of_this_origin_only(gateway, page):
    answer = loopback.get(f"{gateway.origin}{page}")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert (policy["default-src"], policy["script-src"], policy["connect-src"]) == ("'none'", "'self'", "'self'")
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert re.findall(r"<script(?! src=)", answer.text) == []
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fcore.py", "core.py", "swagger-ui.css%00"])
def test_nothing_but_the_parts_of_the_pages_is_served_beside_them(gateway, name):
    assert loopback.get(f"{gateway.origin}/docs/{name}").status_code == 404
