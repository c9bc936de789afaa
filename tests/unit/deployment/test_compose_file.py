import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.deployment import DASHBOARD, ROOT, compose, read_yaml, service
from worker.settings import WorkerSettings


def services() -> list[str]:
    """Name the services."""
    return list(compose()["services"])


def mounts(name: str) -> list[tuple[str, str]]:
    """Give source and target of each volume of a service."""
    return [mount(volume) for volume in service(name).get("volumes", [])]


def mount(volume: str | dict[str, Any]) -> tuple[str, str]:
    """Give source and target of a volume, in the short form or the long."""
    if isinstance(volume, dict):
        return volume["source"], volume["target"]
    source, target, *_ = volume.split(":")
    return source, target


def test_it_is_a_compose_file() -> None:
    """The schema of the Compose Specification knows every key and type in it."""
    schema = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    jsonschema.validate(compose(), json.loads(schema.read_text(encoding="utf-8")))


def test_a_misspelt_key_is_no_compose_file() -> None:
    """The schema is strict enough to be worth asking."""
    schema = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    wrong = compose()
    wrong["services"]["worker"]["enviroment"] = {}
    with pytest.raises(jsonschema.ValidationError, match="enviroment"):
        jsonschema.validate(wrong, json.loads(schema.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", services())
def test_what_a_service_waits_for_exists(name: str) -> None:
    """Who waits for health waits for somebody that tells it."""
    waits: Any = service(name).get("depends_on", {})
    conditions = waits.items() if isinstance(waits, dict) else [(other, {}) for other in waits]
    for other, how in conditions:
        assert other in services()
        if how.get("condition") == "service_healthy":
            assert "healthcheck" in service(other)


@pytest.mark.parametrize("name", services())
def test_what_is_mounted_exists(name: str) -> None:
    """A named volume is declared; a file of the project is there."""
    for source, _ in mounts(name):
        if source.startswith("./"):
            assert (ROOT / source).exists(), source
        elif not source.startswith("$"):
            assert source in compose()["volumes"]


def test_every_volume_is_used() -> None:
    """A volume that nobody mounts is a mistake in a name."""
    used = {source for name in services() for source, _ in mounts(name)}
    assert set(compose()["volumes"]) <= used


@pytest.mark.parametrize("name", services())
def test_images_are_pinned(name: str) -> None:
    """By a whole version: the same tomorrow as today."""
    assert re.search(r":v?\d+\.\d+\.\d+$", service(name)["image"])


def test_the_image_has_the_projects_version() -> None:
    """What is built is named for what it holds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert service("worker")["image"] == f"tuwen:{project['version']}"


def test_workers_can_be_scaled() -> None:
    """Nothing of a worker is fixed that two of them cannot have: no port of the host, no name."""
    worker = service("worker")
    assert not {"ports", "container_name", "hostname", "deploy"} & set(worker)
    assert not {"TUWEN_INSTANCE", "TUWEN_SLOT"} & set(worker["environment"])


@pytest.mark.parametrize("name", services())
def test_ports_are_published_on_the_loopback_alone(name: str) -> None:
    """There is no password on any of it."""
    assert all(port.startswith("127.0.0.1:") for port in service(name).get("ports", []))


def test_a_worker_is_given_time_to_stop() -> None:
    """More than it takes at most: the default of its own, and 5 s until it is ended."""
    patience_s = int(service("worker")["stop_grace_period"].removesuffix("s"))
    assert patience_s >= WorkerSettings(instance="here").stop_timeout_s + 5


def test_prometheus_scrapes_the_workers_port() -> None:
    """Service and port are those of the compose file."""
    (job,) = read_yaml("dashboards/prometheus.yml")["scrape_configs"]
    (discovery,) = job["dns_sd_configs"]
    assert discovery["names"] == ["worker"]
    assert str(discovery["port"]) == service("worker")["environment"]["TUWEN_METRICS_PORT"]


def test_grafana_finds_datasource_and_dashboard() -> None:
    """The provisioning speaks of services, paths and ids that are there."""
    (source,) = read_yaml("dashboards/provisioning/datasources/prometheus.yml")["datasources"]
    (provider,) = read_yaml("dashboards/provisioning/dashboards/tuwen.yml")["providers"]
    targets = dict(mounts("grafana"))
    assert source["url"] == "http://prometheus:9090"
    assert targets["./dashboards/tuwen.json"] == f"{provider['options']['path']}/tuwen.json"
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}


def dockerfile() -> str:
    """Read the Dockerfile."""
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_the_image_holds_every_package_that_is_installed() -> None:
    """What pyproject.toml lists is copied, and the build context lets it through."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    listed = tools["setuptools"]["packages"]["find"]["include"]
    let_through = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for package in (name for name in listed if "." not in name):
        assert f"COPY {package}/ {package}/" in dockerfile()
        assert f"!{package}" in let_through


def test_what_the_image_copies_exists() -> None:
    """No path in it is a mistake."""
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile(), re.MULTILINE)
    paths = [Path(ROOT, path) for line in copied for path in line.split()]
    assert paths
    assert all(path.exists() for path in paths), paths


def test_the_image_serves_and_does_not_train() -> None:
    """Only the serving lock is installed, with hashes, and the program is not root's."""
    installs = re.findall(r"pip install (.*)", dockerfile())
    assert [line for line in installs if "all.txt" in line] == []
    assert "/opt/tuwen/bin/pip install --require-hashes -r locks/serving.txt" in dockerfile()
    last_stage = dockerfile().rpartition("\nFROM ")[2]
    assert "\nUSER 10001\n" in last_stage
