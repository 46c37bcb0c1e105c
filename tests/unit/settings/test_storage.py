"""Where images may be, and whose links callers may be given."""

import pytest

from app.settings.load import InvalidSettingsError, load_settings

DAY = 86_400


@pytest.mark.parametrize(
    "url",
    ["file:///var/images", "s3://bucket", "s3://bucket/", "s3://bucket/a/b", "gs://bucket/a", "az://container/a", " s3://bucket "],
)  # fmt: skip
def test_an_address_of_a_store_is_taken(url):
    settings = load_settings({"SPILLWAY_STORAGE_URL": url}).storage
    assert settings.storage_url == url.strip()
    assert settings.is_folder is url.startswith("file")


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("/var/images", id="a path"),
        pytest.param("file://", id="no path"),
        pytest.param("file://host/path", id="a folder of another machine"),
        pytest.param("file:///", id="the whole file system"),
        pytest.param("http://host/bucket", id="another scheme"),
        pytest.param("s3://", id="no bucket"),
        pytest.param("s3:///prefix", id="no bucket but a prefix"),
        pytest.param("s3://key:secret@bucket", id="keys"),
        pytest.param("s3://bucket:9000/a", id="a port"),
        pytest.param("s3://bucket:x/a", id="no port"),
        pytest.param("s3://bucket/a?region=x", id="a query"),
        pytest.param("s3://bucket/a#b", id="a fragment"),
        pytest.param("s3://bucket/a/../b", id="a way up"),
        pytest.param("s3://bucket/a//b", id="an empty step"),
        pytest.param("s3://[bucket", id="no address"),
    ],
)
def test_what_is_no_address_of_a_store_is_refused(url):
    with pytest.raises(InvalidSettingsError, match="SPILLWAY_STORAGE_URL: expected file:///path, s3://bucket/prefix"):
        load_settings({"SPILLWAY_STORAGE_URL": url})


@pytest.mark.parametrize(
    ("store", "seconds", "problem"),
    [
        pytest.param("", 3600, "a folder signs no links", id="the data folder"),
        pytest.param("file:///var/images", 3600, "a folder signs no links", id="a folder"),
        pytest.param("s3://bucket", 8 * DAY, "at most 604800 s", id="for longer than stores sign"),
        pytest.param("s3://bucket", 7 * DAY, None, id="S3"),
        pytest.param("gs://bucket", 3600, None, id="Google Cloud Storage"),
        pytest.param("az://container", 3600, None, id="Azure"),
    ],
)
def test_links_of_the_store_need_one_that_signs_them(store, seconds, problem):
    given = {"SPILLWAY_MEDIA_LINKS": "presigned", "SPILLWAY_STORAGE_URL": store, "SPILLWAY_MEDIA_TTL": str(seconds)}
    if problem is None:
        assert load_settings(given).storage.media_links == "presigned"
        return
    with pytest.raises(InvalidSettingsError, match=problem):
        load_settings(given)


def test_old_secrets_are_listed_between_commas():
    settings = load_settings({"SPILLWAY_OLD_SECRETS": f" {'a' * 16} ,,{'b' * 16}"})
    assert [one.get_secret_value() for one in settings.journal.old_secrets] == ["a" * 16, "b" * 16]


def test_an_old_secret_that_is_too_short_is_refused_without_being_shown():
    with pytest.raises(InvalidSettingsError, match="at least 16 characters") as caught:
        load_settings({"SPILLWAY_OLD_SECRETS": f"{'a' * 16},too-short"})
    assert "too-short" not in str(caught.value)
