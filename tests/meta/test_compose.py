"""docker-compose.yml: one gateway by default, and the `scale` profile with everything several gateways need."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from app.settings.load import Settings
from app.settings.storage import StorageSettings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES = DOCUMENT["services"]
SCALE = {"balancer", "gateway", "migration", "database", "store", "bucket"}
ENDING = {"migration", "bucket"}
VARIABLES = {field.alias for _, group in Settings() for field in type(group).model_fields.values()}
NGINX = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")


def test_without_a_profile_it_is_one_service_and_a_volume():
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == ["spillway"]
    service = SERVICES["spillway"]
    assert service["ports"] == ["127.0.0.1:${SPILLWAY_PORT:-8000}:${SPILLWAY_PORT:-8000}"]
    assert service["env_file"] == [{"path": ".env", "required": False}]
    assert service["environment"]["SPILLWAY_PORT"] == "${SPILLWAY_PORT:-8000}"
    assert service["volumes"] == ["spillway-data:/data", "spillway-catalog:/catalog"]


@pytest.mark.parametrize("name", ["spillway", "gateway", "migration"])
def test_a_container_of_ours_writes_to_its_volumes_alone_and_has_no_rights(name):
    service = SERVICES[name]
    assert (service["read_only"], service["tmpfs"], service["cap_drop"]) == (True, ["/tmp"], ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_scale_profile_has_gateways_a_database_a_store_and_a_balancer():
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["scale"]} == SCALE
    assert SERVICES["gateway"]["deploy"]["replicas"] > 1
    assert "ports" not in SERVICES["gateway"], "replicas cannot share a port of the machine"
    assert all(
        re.search(r":[\w.-]*\d", SERVICES[name]["image"]) for name in ("balancer", "database", "store", "bucket")
    )


@pytest.mark.parametrize("name", sorted(SCALE))
def test_a_service_waits_until_what_it_needs_is_healthy_and_has_its_volumes(name):
    service = SERVICES[name]
    for needed, how in service.get("depends_on", {}).items():
        wanted = "service_completed_successfully" if needed in ENDING else "service_healthy"
        assert how == {"condition": wanted}
        # The gateway's own health check is that of its image.
        assert needed in {"gateway", *ENDING} or "test" in SERVICES[needed]["healthcheck"]
    for volume in service.get("volumes", ()):
        source = volume.split(":")[0]
        assert source in DOCUMENT["volumes"] or (ROOT / source).is_file()
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), "published on loopback only"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_setting_exists_and_no_secret_is_in_the_file(name):
    for variable, value in SERVICES[name].get("environment", {}).items():
        assert not variable.startswith(("SPILLWAY_", "RUNWARE_")) or variable in VARIABLES, variable
        if re.search("KEY|SECRET|PASSWORD", variable):
            assert value is None or re.fullmatch(r"\$\{\w+:-\}", value), variable
        assert not re.search(r"://\w+:[^$@]+@", str(value)), variable


def test_the_gateways_share_one_database_and_one_store_and_nothing_else():
    assert (
        SERVICES["gateway"]["environment"]["SPILLWAY_DATABASE_URL"]
        == (SERVICES["migration"]["environment"]["SPILLWAY_DATABASE_URL"])
    )
    assert SERVICES["gateway"]["volumes"] == ["spillway-catalog:/catalog"], "what is in its folder no other one sees"
    given = SERVICES["gateway"]["environment"]
    settings = StorageSettings(storage_url=given["SPILLWAY_STORAGE_URL"])
    bucket = urlsplit(settings.storage_url).netloc
    assert (settings.is_folder, f"-name {bucket}'" in SERVICES["bucket"]["command"][0]) == (False, True)
    assert f"-s3.port={urlsplit(given['AWS_ENDPOINT_URL']).port}" in SERVICES["store"]["command"]
    assert SERVICES["bucket"]["image"] == SERVICES["store"]["image"]
    assert SERVICES["migration"]["command"] == ["spillway", "migrate"]


def test_the_balancer_buffers_nothing_and_repeats_nothing_that_may_have_been_sent():
    directives = dict(re.findall(r"^\s*(\w+)\s+([^;{]+);", NGINX, re.MULTILINE))
    assert (directives["proxy_buffering"], directives["proxy_request_buffering"]) == ("off", "off")
    assert (directives["client_max_body_size"], directives["proxy_http_version"]) == ("0", "1.1")
    assert "non_idempotent" not in directives["proxy_next_upstream"]
    longest = Settings().upstream.request_timeout
    assert int(directives["proxy_read_timeout"].removesuffix("s")) > longest
    assert int(directives["keepalive_timeout"].removesuffix("s")) < Settings().server.keep_alive
    assert directives["server"].startswith("gateway:8000 resolve")
    assert NGINX.count("{") == NGINX.count("}")
