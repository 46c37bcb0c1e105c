"""What `deploy/` offers beside compose: manifests that Kubernetes takes, a unit, and proxies that neither buffer nor repeat."""

import configparser
import re
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from app.settings.durations import read_duration
from app.settings.load import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = DEPLOY / "kubernetes"
VARIABLES = {field.alias for _, group in Settings() for field in type(group).model_fields.values()}
KUSTOMIZATION = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text(encoding="utf-8"))
LABELS = KUSTOMIZATION["labels"][0]["pairs"]


def manifest(name: str) -> dict:
    return yaml.safe_load((MANIFESTS / name).read_text(encoding="utf-8"))


def labelled(document: dict) -> dict:
    """As kustomize hands it to the cluster: with the labels in every selector."""
    spec = document.get("spec", {})
    for place in (spec.get("selector", {}), spec.get("podSelector", {})):
        if "matchLabels" in place:
            place["matchLabels"] = dict(LABELS)
    if document["kind"] == "Deployment":
        spec["template"].setdefault("metadata", {})["labels"] = dict(LABELS)
    return document


@pytest.mark.parametrize("name", [*KUSTOMIZATION["resources"], "secret.example.yaml"])
def test_kubernetes_takes_the_manifest(name):
    kubernetes_validate.validate(labelled(manifest(name)), "1.32", strict=True)


def test_every_manifest_is_among_the_resources_and_the_example_of_a_secret_is_not():
    files = {path.name for path in MANIFESTS.glob("*.yaml")}
    assert files - {"kustomization.yaml"} == {*KUSTOMIZATION["resources"], "secret.example.yaml"}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert KUSTOMIZATION["images"][0]["newTag"] == version


def test_pods_run_without_rights_and_end_after_their_work():
    pod = manifest("deployment.yaml")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["enableServiceLinks"] is False, "a service named spillway would become SPILLWAY_PORT=tcp://…"
    assert pod["securityContext"]["runAsUser"] == 10001
    assert f"USER {pod['securityContext']['runAsUser']}" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    settings = manifest("configmap.yaml")["data"]
    ends = read_duration(settings["SPILLWAY_DRAIN"]) + read_duration(settings["SPILLWAY_GRACE"])
    assert pod["terminationGracePeriodSeconds"] > ends
    # Long enough for a balancer to hear that a pod is not ready.
    probe = container["readinessProbe"]
    assert read_duration(settings["SPILLWAY_DRAIN"]) > 2 * probe["periodSeconds"] * probe["failureThreshold"]
    assert (probe["httpGet"]["path"], container["livenessProbe"]["httpGet"]["path"]) == ("/readyz", "/healthz")


def test_names_of_ports_and_settings_exist():
    (container,) = manifest("deployment.yaml")["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    settings, secrets = manifest("configmap.yaml")["data"], manifest("secret.example.yaml")["stringData"]
    assert ports == {"http": Settings().server.port, "metrics": int(settings["SPILLWAY_METRICS_PORT"])}
    assert manifest("service.yaml")["spec"]["ports"][0]["targetPort"] in ports
    reached = {port["port"] for rule in manifest("networkpolicy.yaml")["spec"]["ingress"] for port in rule["ports"]}
    assert reached == set(ports)
    named = {name for name in (*settings, *secrets) if name.startswith(("SPILLWAY_", "RUNWARE_"))}
    assert named <= VARIABLES
    assert not any(secrets.values())
    assert not [name for name in settings if re.search("KEY|SECRET|DATABASE", name)]


def test_replicas_grow_with_tasks_in_flight_and_never_all_leave_at_once():
    scaler, budget = manifest("horizontalpodautoscaler.yaml")["spec"], manifest("poddisruptionbudget.yaml")["spec"]
    (metric,) = scaler["metrics"]
    assert metric["pods"]["metric"]["name"] == "spillway_tasks_in_flight"
    assert int(metric["pods"]["target"]["averageValue"]) < Settings().load.max_in_flight
    assert scaler["minReplicas"] > budget["maxUnavailable"] == 1


def test_the_network_policy_keeps_pods_from_addresses_inside():
    egress = manifest("networkpolicy.yaml")["spec"]["egress"]
    blocks = [target["ipBlock"] for rule in egress for target in rule["to"] if "ipBlock" in target]
    assert {"169.254.0.0/16", "10.0.0.0/8"} <= set(blocks[0]["except"])


def test_the_unit_restarts_what_can_get_better_and_waits_for_running_work():
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str
    unit.read(DEPLOY / "systemd" / "spillway.service")
    service = unit["Service"]
    assert service["ExecStart"].endswith("spillway serve")
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("on-failure", "3")
    assert int(service["TimeoutStopSec"]) > Settings().server.grace
    assert {service[name] for name in ("DynamicUser", "NoNewPrivileges", "PrivateTmp")} == {"yes"}
    assert service["ProtectSystem"] == "strict"


def proxies() -> dict[str, dict[str, str]]:
    """What each proxy says of the same things."""
    traefik = yaml.safe_load((DEPLOY / "traefik" / "spillway.yaml").read_text(encoding="utf-8"))["http"]
    times = traefik["serversTransports"]["spillway"]["forwardingTimeouts"]
    balancer = traefik["services"]["spillway"]["loadBalancer"]
    caddy = dict(
        re.findall(r"^\s*(\w+) (\S+)$", (DEPLOY / "caddy" / "Caddyfile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    return {
        "caddy": {
            "flush": caddy["flush_interval"],
            "idle": caddy["keepalive"],
            "answer": caddy["response_header_timeout"],
            "health": caddy["health_uri"],
        },
        "traefik": {
            "flush": balancer["responseForwarding"]["flushInterval"],
            "idle": times["idleConnTimeout"],
            "answer": times["responseHeaderTimeout"],
            "health": balancer["healthCheck"]["path"],
        },
    }


@pytest.mark.parametrize("name", ["caddy", "traefik"])
def test_a_proxy_buffers_nothing_and_outwaits_requests_but_no_idle_connection(name):
    says = proxies()[name]
    assert (says["flush"], says["health"]) == ("-1", "/readyz")
    assert read_duration(says["idle"]) < Settings().server.keep_alive
    assert read_duration(says["answer"]) > Settings().upstream.request_timeout


def test_no_proxy_sends_a_request_twice():
    caddy = (DEPLOY / "caddy" / "Caddyfile").read_text(encoding="utf-8")
    assert "lb_retries 0" in caddy
    assert "lb_try_duration" not in caddy
    traefik = yaml.safe_load((DEPLOY / "traefik" / "spillway.yaml").read_text(encoding="utf-8"))["http"]
    assert "middlewares" not in traefik


def test_pages_name_what_is_there():
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    for path in ("kubernetes", "systemd/spillway.service", "nginx.conf", "caddy/Caddyfile", "traefik/spillway.yaml"):
        assert f"(../deploy/{path})" in page
        assert (DEPLOY / path).exists()
