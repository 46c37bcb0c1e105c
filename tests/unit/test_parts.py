"""Smaller parts: settings, catalog and registry, keys, signed links and the media store, redaction."""

import asyncio
import time

import pytest
from pydantic import SecretStr

from app.access.authentication import ANONYMOUS, Authenticator
from app.catalog.loader import InvalidCatalogError, load_catalog
from app.catalog.registry import Registry, UnknownModelError
from app.errors import AuthenticationError
from app.media.links import derive_secret, sign, verify
from app.media.store import MediaNotFoundError, MediaStore
from app.settings.load import InvalidSettingsError, Settings, load_settings, read_environment


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_catalog(Settings().catalog_dir)


FOUNDING = {
    "sourceful:1@1": ["riverflow-1", "riverflow-1.1", "riverflow-1-standard", "riverflow-1-base"],
    "sourceful:1@0": ["riverflow-1-mini", "riverflow-1.1-mini"],
    "sourceful:1@2": ["riverflow-1-pro", "riverflow-1.1-pro"],
    "runware:111@1": ["flux.1-dev-srpo"],
    "runware:100@1": ["flux.1-schnell"],
    "runware:101@1": ["flux.1-dev"],
    "bfl:5@1": ["flux.2-pro"],
}


@pytest.mark.parametrize(("air", "name"), [(air, name) for air, names in FOUNDING.items() for name in [air, *names]])
@pytest.mark.parametrize("write", [str, str.upper, "runware/{}".format, "Runware/{}".format])
def test_the_founding_models_answer_to_all_their_names_in_any_case(registry, air, name, write):
    assert registry.find(write(name)).air == air


@pytest.mark.parametrize(
    ("air", "slot", "maximum"),
    [
        ("civitai:618692@691639", "seedImage", 1),
        ("runware:9999@1", "seedImage", 1),
        ("google:9@9", "referenceImages", None),
    ],
)
def test_any_well_formed_air_id_is_a_model(registry, air, slot, maximum):
    model = registry.find(air)
    assert (model.listed, model.max_results, model.images.slot, model.images.maximum) == (False, 1, slot, maximum)


def test_an_unlisted_air_id_keeps_its_case(registry):
    assert registry.find("runware/Civitai:ABC@1").air == "Civitai:ABC@1"


@pytest.mark.parametrize("name", ["", "no", "a:b", "a@b", ":1@1", "a:1@", "a b:1@1", "riverflow", "../etc/passwd"])
def test_what_is_no_name_is_no_model(registry, name):
    with pytest.raises(UnknownModelError):
        registry.find(name)


def test_clashing_names_and_dangling_aliases_are_faults(tmp_path):
    entry = "  - {{id: {0}, air: 'a:{1}@1', name: A, modes: [generate], sizes: {{kind: automatic}}, aliases: [same]}}\n"
    (tmp_path / "a.yaml").write_text("creator: A\nmodels:\n" + entry.format("a", 1) + entry.format("b", 2))
    with pytest.raises(InvalidCatalogError) as caught:
        load_catalog(tmp_path, {"m": "nothing"})
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["a.yaml", "SPILLWAY_MODEL_ALIASES"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("models: [", 1),
        ("creator: A\nmodels:\n  - id: [\n", 4),
        ("models: []\n", 1),
        ("- a\n", 1),
        ("creator: A\nmodels:\n  - text\n", 3),
    ],
    ids=["broken", "broken later", "no creator", "a list", "not a model"],
)
def test_a_file_that_is_no_catalog_is_told_with_its_line(tmp_path, text, line):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InvalidCatalogError) as caught:
        load_catalog(tmp_path)
    assert caught.value.faults[0].startswith(f"a.yaml:{line}:")


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(InvalidCatalogError):
        load_catalog(tmp_path)


def test_defaults_need_no_environment():
    settings = load_settings({})
    assert (settings.host, settings.port, settings.media_ttl, settings.max_image_pixels) == (
        "127.0.0.1",
        8000,
        3600,
        64_000_000,
    )


def test_an_env_file_fills_in_what_the_environment_lacks(tmp_path):
    (tmp_path / "e").write_text('SPILLWAY_PORT=1234\nSPILLWAY_API_KEYS="a, b"\n# comment\nSPILLWAY_HOST=10.0.0.1\n')
    settings = load_settings(read_environment(tmp_path / "e", {"SPILLWAY_HOST": "127.0.0.1"}))
    assert (settings.port, settings.host) == (1234, "127.0.0.1")
    assert settings.api_keys == (SecretStr("a"), SecretStr("b"))


@pytest.mark.parametrize("name", ["RUNWARE_API_KEY", "SPILLWAY_SECRET", "SPILLWAY_API_KEYS"])
def test_secrets_are_never_shown(name):
    assert "very-secret-value-1" not in repr(load_settings({name: "very-secret-value-1"}))


def test_a_misspelt_setting_is_told():
    with pytest.raises(InvalidSettingsError, match="did you mean SPILLWAY_API_KEYS"):
        load_settings({"SPILLWAY_API_KEYZ": "a"})


def test_without_keys_everybody_may_call():
    assert Authenticator([]).check({}) == ANONYMOUS


@pytest.mark.parametrize(
    "headers", [{"authorization": "Bearer one"}, {"authorization": "bearer  two "}, {"api-key": "one"}]
)
def test_a_known_key_may_call_and_has_a_stable_name(headers):
    name = Authenticator(["one", "two"]).check(headers)
    assert name == Authenticator(["two", "one"]).check(headers)
    assert "one" not in name


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "one"}, {"authorization": "Bearer three"}, {"authorization": "Bearer öne"}]
)
def test_any_other_key_may_not(headers):
    with pytest.raises(AuthenticationError):
        Authenticator(["one", "two"]).check(headers)


def test_links_are_signed_for_one_name_and_one_end():
    secret = derive_secret("media links", "operator secret")
    signature = sign(secret, "a.png", 100)
    assert verify(secret, "a.png", 100, signature, 99.9)
    for name, expires, given, now in (
        ("b.png", 100, signature, 50), ("a.png", 101, signature, 50), ("a.png", 100, signature, 100), ("a.png", 100, "ä", 50), ("a.png", 100, "", 50),
    ):  # fmt: skip
        assert not verify(secret, name, expires, given, now)
    assert not verify(derive_secret("media links", "other"), "a.png", 100, signature, 50)


def test_hosted_images_end_and_are_swept_away(tmp_path):
    now = [1_000_000.0]

    async def course() -> None:
        store = MediaStore(tmp_path, b"secret", 3600, clock=lambda: now[0])
        hosted = await store.put(b"image", "gif")
        name, query = hosted.path.removeprefix("/v1/media/").split("?")
        given = dict(part.split("=", 1) for part in query.split("&"))
        stored = await store.get(name, int(given["expires"]), given["signature"])
        assert (stored.media_type, stored.size, b"".join([chunk async for chunk in stored.chunks])) == (
            "image/gif",
            5,
            b"image",
        )
        now[0] += 3600
        with pytest.raises(MediaNotFoundError):
            await store.get(name, int(given["expires"]), given["signature"])
        now[0] = (tmp_path / name).stat().st_mtime + 2 * 3600
        await store.put(b"another", "png")
        assert not (tmp_path / name).exists()
        assert len(list(tmp_path.iterdir())) == 1

    asyncio.run(course())


def test_an_image_that_may_be_asked_for_again_outlives_its_link(tmp_path):
    now = [time.time()]

    async def course() -> None:
        store = MediaStore(tmp_path, b"secret", 60, 5000, clock=lambda: now[0])
        hosted = await store.put(b"image", "gif", longer=True)
        now[0] += 4000
        await store.put(b"another", "png")
        again = await store.renew(hosted.name)
        given = dict(part.split("=", 1) for part in again.path.split("?")[1].split("&"))
        assert (again.expires_at, again.name) == (int(now[0]) + 60, hosted.name)
        assert (await store.get(again.name, again.expires_at, given["signature"])).size == 5
        now[0] += 4000
        await store.put(b"another", "png")
        with pytest.raises(MediaNotFoundError):
            await store.renew(hosted.name)

    asyncio.run(course())
