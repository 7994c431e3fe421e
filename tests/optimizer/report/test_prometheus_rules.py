"""Alert rules: what Prometheus takes, whatever words a sheet has."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from optimizer.report.prometheus_rules import prometheus_rules
from optimizer.spec import ObjectiveMetric, SloSheetSpec, load_slo, slo_from_data
from tests.conftest import REPOSITORY

SHEET = REPOSITORY / "examples" / "slo.yaml"
ANY_WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters='{}"\\'), min_size=1
).map(lambda text: text[:200])


def rules(sheet: SloSheetSpec) -> list[dict[str, Any]]:
    """Return the rules of the only group."""
    (group,) = YAML(typ="safe").load(prometheus_rules(sheet))["groups"]
    assert set(group) == {"name", "rules"}
    found: list[dict[str, Any]] = group["rules"]
    return found


def one(**objective: Any) -> dict[str, Any]:
    """Return the rule of a single objective."""
    (rule,) = rules(slo_from_data({"objectives": [objective]}))
    return rule


def test_every_objective_of_the_shipped_sheet_is_an_alert() -> None:
    """Eleven alerts at their thresholds, each with a name of its own."""
    found = rules(load_slo(SHEET))
    ends = [re.search(r"[<>] ([0-9.]+)(?: and .*)?$", rule["expr"]) for rule in found]
    thresholds = [float(end.group(1)) for end in ends if end]
    assert thresholds == [150, 300, 30, 80, 3000, 80, 40_000, 50, 99.5, 0.5, 0.01]
    assert len({rule["alert"] for rule in found}) == 11
    for rule in found:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", rule["alert"])
        assert rule["for"] == "5m"
        assert balanced(rule["expr"])


def balanced(expression: str) -> bool:
    """Whether brackets outside of strings close in order."""
    pairs = {")": "(", "]": "[", "}": "{"}
    opened: list[str] = []
    for character in re.sub(r'"(?:[^"\\]|\\.)*"', "", expression):
        if character in pairs.values():
            opened.append(character)
        elif character in pairs and (not opened or opened.pop() != pairs[character]):
            return False
    return not opened and '"' not in re.sub(r'"(?:[^"\\]|\\.)*"', "", expression)


def test_every_metric_has_an_expression() -> None:
    """Means and percentiles of latencies, rates, shares."""
    for metric in ObjectiveMetric:
        assert balanced(one(metric=metric.value, target=1)["expr"])
    mean = one(metric="itl_ms", target=20)["expr"]
    assert "inter_token_latency_seconds_sum" in mean
    assert "inter_token_latency_seconds_count" in mean
    assert "histogram_quantile(0.999," in one(metric="ttft_ms", statistic="p99.9", target=1)["expr"]


def test_floors_alert_below_and_only_while_requests_wait() -> None:
    """An idle system breaks no promise of throughput."""
    rule = one(metric="service_requests_per_s", target=100, alert=80)
    assert "< 80 and on (model_name) sum by (model_name) (vllm:num_requests_waiting" in rule["expr"]
    assert rule["annotations"]["summary"] == "service_requests_per_s is below 80"
    assert " < 99.5" in one(metric="success_percent", target=99.9, alert=99.5)["expr"]


def test_without_a_threshold_the_target_warns() -> None:
    """Severity warning at the target, critical at the threshold."""
    assert one(metric="ttft_ms", target=100)["labels"]["severity"] == "warning"
    assert "> 100" in one(metric="ttft_ms", target=100)["expr"]
    assert one(metric="ttft_ms", target=100, alert=150)["labels"]["severity"] == "critical"


def test_a_query_of_ones_own_is_taken_as_it_is() -> None:
    """Only compared."""
    rule = one(metric="success_percent", target=99, query='my_success{team="a"}')
    assert rule["expr"] == '(my_success{team="a"}) < 99'


def test_names_that_differ_little_stay_apart() -> None:
    """p9.99 and p99.9; classes that lose characters."""
    objectives = [
        {"metric": "ttft_ms", "statistic": statistic, "target": 1, "class": group}
        for statistic in ("p9.99", "p99.9")
        for group in ("gold!", "gold?", "gold")
    ]
    found = rules(slo_from_data({"objectives": objectives}))
    assert len({rule["alert"] for rule in found}) == 6


@given(name=ANY_WORDS, group=ANY_WORDS, value=ANY_WORDS)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_no_words_break_out(name: str, group: str, value: str) -> None:
    """Any name, class and label: valid YAML, closed strings, templates that say the words."""
    sheet = slo_from_data(
        {
            "name": name,
            "objectives": [{"metric": "ttft_ms", "target": 1, "class": group}],
            "selector": {"job": value},
            "labels": {"team": value},
        }
    )
    (rule,) = rules(sheet)
    assert balanced(rule["expr"])
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", rule["alert"])
    labels = rule["labels"]
    for wanted, written in ((value, labels["team"]), (name, labels["slo"])):
        assert written.replace('{{ "{{" }}', "{{") == wanted
    strings = re.findall(r'job="((?:[^"\\]|\\.)*)"', rule["expr"])
    assert re.sub(r"\\(.)", r"\1", strings[0]) == value


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    """`promtool check rules` finds no fault."""
    path = tmp_path / "slo.rules.yml"
    path.write_text(prometheus_rules(load_slo(SHEET)), encoding="utf-8")
    subprocess.run(["promtool", "check", "rules", str(path)], check=True, capture_output=True)
