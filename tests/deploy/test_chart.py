"""What is installed in a cluster: the chart, the manifests, the container file, the dashboard."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from optimizer.control.operator.reconciler import STATE_NAME
from tests.conftest import REPOSITORY
from tests.deploy.chart import CHART, read_documents, read_yaml, rendered, values

DEPLOY = REPOSITORY / "deploy"
SWITCHED_ON: dict[str, Any] = {
    "template__enabled": True,
    "prometheus__secretName": "prometheus",
    "serviceMonitor__enabled": True,
    "serviceMonitor__labels": {"release": "monitoring"},
    "dashboard__enabled": True,
    "serviceAccount__annotations": {"a": "b"},
    "nodeSelector": {"pool": "cpu"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "high",
    "imagePullSecrets": [{"name": "registry"}],
    "image__tag": "1.2.3",
}


def of_kind(objects: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    (found,) = [o for o in objects if o["kind"] == kind and o["metadata"]["name"].endswith(name)]
    return found


def manifests(name: str) -> list[dict[str, Any]]:
    text = (DEPLOY / "kubernetes" / name).read_text(encoding="utf-8")
    return [read_yaml(part) for part in text.split("\n---\n")]


def pod_of(deployment: dict[str, Any]) -> dict[str, Any]:
    return dict(deployment["spec"]["template"]["spec"])


def test_the_chart_renders_with_its_own_values() -> None:
    """Every object has a kind, a name and the release's labels."""
    objects = rendered()
    kinds = sorted(o["kind"] for o in objects)
    assert kinds == ["Deployment", "Role", "RoleBinding", "Service", "ServiceAccount"]
    for one in objects:
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == "llm"


def test_everything_that_can_be_switched_on_renders() -> None:
    """Template mode, a secret for Prometheus, a monitor, the dashboard, places to run."""
    objects = rendered(**SWITCHED_ON)
    pod = pod_of(of_kind(objects, "Deployment"))
    assert pod["nodeSelector"] == {"pool": "cpu"}
    assert pod["priorityClassName"] == "high"
    (container,) = pod["containers"]
    assert container["image"] == "fleetopt:1.2.3"
    assert "--prometheus-bearer-file=/prometheus/token" in container["args"]
    assert {m["name"] for m in container["volumeMounts"]} == {"cache", "prometheus"}
    assert of_kind(objects, "Role", "-template")["rules"][0]["verbs"] == ["patch"]
    assert of_kind(objects, "ServiceMonitor")["metadata"]["labels"]["release"] == "monitoring"
    text = of_kind(objects, "ConfigMap")["data"]["fleetopt.json"]
    assert json.loads(text)["uid"] == "fleetopt"


@pytest.mark.parametrize("name", ["scale", "template"])
def test_chart_and_manifests_have_the_same_roles(name: str) -> None:
    """Rule by rule; neither has wildcards, secrets, nodes, or may delete."""
    (plain,) = manifests(f"role-{name}.yaml")
    role = of_kind(rendered(template__enabled=True), "Role", f"-{name}")
    assert role["rules"] == plain["rules"]
    for rule in role["rules"]:
        words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
        assert not words & {"*", "secrets", "nodes", "delete", "deletecollection", "escalate"}


def test_roles_name_the_objects_that_the_operator_has() -> None:
    """Its Lease and its state are named; what is named is what the code uses."""
    (plain,) = manifests("role-scale.yaml")
    named = {r["resources"][0]: r["resourceNames"] for r in plain["rules"] if "resourceNames" in r}
    assert named == {"leases": ["fleetopt-operator"], "configmaps": [STATE_NAME]}


@pytest.mark.parametrize("source", ["chart", "manifests"])
def test_the_pod_may_do_nothing_that_it_need_not(source: str) -> None:
    """No root, no writable root file system, no capabilities; caches go to an emptyDir."""
    objects = rendered() if source == "chart" else manifests("operator.yaml")
    pod = pod_of(of_kind(objects, "Deployment"))
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = {m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")}
    assert writable == {"/cache"}
    assert "emptyDir" in next(v for v in pod["volumes"] if v["name"] == "cache")
    environment = {e["name"]: e["value"] for e in container["env"]}
    for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "HOME", "TMPDIR"):
        assert environment[name].startswith("/cache")
    assert container["resources"]["limits"]["memory"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_kustomize_lists_what_is_there() -> None:
    """Every resource is a file beside it."""
    kustomization = read_yaml((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    for name in kustomization["resources"]:
        assert (DEPLOY / "kubernetes" / name).is_file()


def test_values_keep_to_their_schema() -> None:
    """The defaults are valid; a misspelt or impossible value is not."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    assert set(schema["properties"]) - {"global"} == set(values())
    jsonschema.validate(values(), schema)
    for wrong in ({"replica": 2}, {"replicas": -1}, {"leaseSeconds": 1}, {"image": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**values(), **wrong}, schema)


def test_every_value_is_used() -> None:
    """No setting of the chart is without effect."""
    text = "".join(p.read_text(encoding="utf-8") for p in (CHART / "templates").iterdir())
    for key, value in values().items():
        inner = value if isinstance(value, dict) and key not in _WHOLE else {"": None}
        for part in inner:
            assert f".Values.{key}.{part}".rstrip(".") in text


_WHOLE = ("resources", "nodeSelector", "affinity")


@pytest.fixture
def helm(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Helm itself, without anything of who runs it."""
    found = shutil.which("helm", path=f"{os.environ['PATH']}:{Path(sys.executable).parent}")
    if found is None:
        pytest.skip("helm is not installed; .ci/install_helm.py fetches it")
    homes = {name: str(tmp_path) for name in ("HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [found, *arguments], capture_output=True, text=True, timeout=60, env=homes
        )

    return run


@pytest.mark.parametrize("changes", [{}, SWITCHED_ON], ids=["its own values", "all switched on"])
def test_helm_agrees(
    helm: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Helm's own lint finds nothing, and it makes the same objects as ours, to the last field."""
    chosen = tmp_path / "values.json"  # JSON is YAML
    chosen.write_text(json.dumps(values(**changes)), encoding="utf-8")
    given = [str(CHART), "--values", str(chosen)]
    linted = helm("lint", "--strict", *given)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    made = helm("template", "llm", *given, "--namespace", "serving")
    assert made.returncode == 0, made.stderr
    theirs, ours = (
        {(o["kind"], o["metadata"]["name"]): o for o in objects}
        for objects in (read_documents(made.stdout), rendered(**changes))
    )
    assert theirs == ours


@pytest.mark.parametrize("wrong", ["replicas=-1", "leaseSeconds=1", "replica=2"])
def test_helm_refuses_wrong_values(
    helm: Callable[..., subprocess.CompletedProcess[str]], wrong: str
) -> None:
    """By the schema of the values, naming the one."""
    made = helm("template", "llm", str(CHART), "--set", wrong)
    assert made.returncode != 0
    assert wrong.partition("=")[0] in made.stderr


def test_versions_are_those_of_the_package() -> None:
    """Chart, image and package move together."""
    version = re.search(
        r'^version = "(.+)"$', (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"), re.M
    )
    assert version is not None
    chart = read_yaml((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == version[1]
    (container,) = pod_of(of_kind(manifests("operator.yaml"), "Deployment"))["containers"]
    assert container["image"] == f"fleetopt:{version[1]}"


def test_the_container_file() -> None:
    """Two stages, a pinned base, a numeric user that is not root, nothing written but to /cache."""
    lines = (DEPLOY / "container" / "Containerfile").read_text(encoding="utf-8")
    joined = lines.replace("\\\n", " ")
    steps = [line.split(None, 1) for line in joined.splitlines() if line and line[0] not in "# "]
    known = {
        "FROM", "WORKDIR", "COPY", "RUN", "ENV", "VOLUME", "USER", "EXPOSE", "ENTRYPOINT", "CMD"
    }  # fmt: skip
    assert {word for word, _ in steps} <= known
    bases = [rest.split()[0] for word, rest in steps if word == "FROM"]
    assert len(bases) == 2
    assert all(re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*", base) for base in bases)
    (user,) = [rest for word, rest in steps if word == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    words = [word for word, _ in steps]
    assert words.index("USER") < words.index("ENTRYPOINT")
    for word, rest in steps:
        if word in ("ENTRYPOINT", "CMD"):
            assert all(isinstance(part, str) for part in json.loads(rest))
        if word == "COPY" and "--from" not in rest:
            *sources, _ = rest.split()
            assert all((REPOSITORY / source).exists() for source in sources)
    assert "NUMBA_CACHE_DIR=/cache/" in joined
    assert "MPLCONFIGDIR=/cache/" in joined


def test_every_metric_of_the_dashboard_exists() -> None:
    """Each name in a query is one that the operator serves."""
    client = pytest.importorskip("prometheus_client", reason="needs the extra 'control'")
    from optimizer.control.operator.metrics import OperatorMetrics

    registry = client.CollectorRegistry()
    OperatorMetrics(registry)
    served = set()
    for family in registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        served |= {family.name + suffix for suffix in suffixes.get(family.type, ("",))}
    board = json.loads((CHART / "dashboards" / "fleetopt.json").read_text(encoding="utf-8"))
    asked = set()
    for panel in board["panels"]:
        assert panel["targets"]
        for target in panel["targets"]:
            asked |= set(re.findall(r"\bfleetopt_\w+", target["expr"]))
    assert asked
    assert asked <= served
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)


def test_panels_do_not_overlap() -> None:
    """On Grafana's grid of 24 columns."""
    board = json.loads((CHART / "dashboards" / "fleetopt.json").read_text(encoding="utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken
        taken |= cells
