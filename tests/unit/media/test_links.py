"""Links to hosted images are signed, with the newest secret, and taken from older ones."""

import pytest

from app.media.errors import LinkEndedError, LinkForgedError
from app.media.links import LinkSigner, SignedLink, parse_link

NEW, OLD, OTHER = b"a new secret", b"an old secret", b"another secret"
LINK = LinkSigner([NEW]).sign("a.png", 100)


@pytest.mark.parametrize("secrets", [[NEW], [NEW, OLD], [OTHER, NEW]], ids=["its own", "newest", "old"])
def test_a_link_is_good_until_its_end_with_its_secret_among_those_that_are_listed(secrets):
    signer = LinkSigner(secrets)
    signer.check(LINK, now=99.9)
    with pytest.raises(LinkEndedError):
        signer.check(LINK, now=100)


@pytest.mark.parametrize(
    "link",
    [
        pytest.param(LINK._replace(name="b.png"), id="another name"),
        pytest.param(LINK._replace(expires_at=101), id="a later end"),
        pytest.param(LINK._replace(signature=""), id="no signature"),
        pytest.param(LINK._replace(signature="ä"), id="a signature that is no ASCII"),
        pytest.param(LINK._replace(signature="\ud800"), id="a signature that is no text"),
        pytest.param(LINK._replace(signature=LINK.signature[:-1]), id="a shorter signature"),
        pytest.param(LINK._replace(name="\ud800"), id="a name that is no text"),
        pytest.param(LinkSigner([OTHER]).sign("a.png", 100), id="another secret"),
    ],
)
@pytest.mark.parametrize("now", [50, 200], ids=["before its end", "after it"])
def test_a_link_that_was_made_up_or_changed_is_forged_whenever_it_is_used(link, now):
    with pytest.raises(LinkForgedError):
        LinkSigner([NEW, OLD]).check(link, now)


@pytest.mark.parametrize("host", ["https://images.example.com", "http://127.0.0.1:8000/openai"])
def test_a_link_is_read_again_on_any_host(host):
    assert parse_link(f"{host}{LINK.path}") == LINK


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://a.example/v1/media/a.png", id="nothing behind it"),
        pytest.param("https://a.example/v1/media/a.png?expires=100", id="no signature"),
        pytest.param("https://a.example/v1/media/a.png?expires=1e9&signature=x", id="no seconds"),
        pytest.param("https://a.example/v1/media/b/a.png?expires=100&signature=x", id="a longer path"),
        pytest.param("https://[a.example/v1/media/a.png?expires=100&signature=x", id="no address"),
    ],
)
def test_an_address_of_another_form_is_no_link(url):
    assert parse_link(url) is None


def test_the_newest_secret_signs():
    assert LinkSigner([NEW, OLD]).sign("a.png", 100) == SignedLink("a.png", 100, LINK.signature)
