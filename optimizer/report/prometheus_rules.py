"""An SLO sheet as Prometheus alert rules, over the metrics of vLLM, its HTTP server and DCGM.

Words of the sheet are data: they become valid names, escaped strings of PromQL, and texts that the
template language of alerts leaves alone.
"""

from __future__ import annotations

import re
from typing import Any

from optimizer.report.kubernetes_names import label_value
from optimizer.report.quoted_yaml import quoted_yaml
from optimizer.spec.slo_sheet import ObjectiveMetric, ObjectiveSpec, SloSheetSpec

__all__ = ["prometheus_rules"]

_FOREIGN_TO_ALERTS = re.compile(r"[^A-Za-z0-9]+")
# Histograms in seconds, as vLLM's V1 engine names them.
_HISTOGRAMS = {
    ObjectiveMetric.TTFT_MS: "vllm:time_to_first_token_seconds",
    ObjectiveMetric.ITL_MS: "vllm:inter_token_latency_seconds",
    ObjectiveMetric.TPOT_MS: "vllm:request_time_per_output_token_seconds",
    ObjectiveMetric.E2E_MS: "vllm:e2e_request_latency_seconds",
    ObjectiveMetric.QUEUEING_MS: "vllm:request_queue_time_seconds",
}
_COUNTERS = {
    ObjectiveMetric.SERVICE_REQUESTS_PER_S: "vllm:request_success_total",
    ObjectiveMetric.SERVICE_TOKENS_PER_S: "vllm:generation_tokens_total",
}
_NAMES = {
    ObjectiveMetric.TTFT_MS: "TimeToFirstToken",
    ObjectiveMetric.ITL_MS: "InterTokenLatency",
    ObjectiveMetric.TPOT_MS: "TimePerOutputToken",
    ObjectiveMetric.E2E_MS: "RequestLatency",
    ObjectiveMetric.QUEUEING_MS: "QueueingTime",
    ObjectiveMetric.SERVICE_REQUESTS_PER_S: "RequestThroughput",
    ObjectiveMetric.SERVICE_TOKENS_PER_S: "TokenThroughput",
    ObjectiveMetric.GPU_UTILIZATION_PERCENT: "GpuUtilization",
    ObjectiveMetric.SUCCESS_PERCENT: "RequestSuccess",
    ObjectiveMetric.TIMEOUT_PERCENT: "Timeouts",
    ObjectiveMetric.OUT_OF_MEMORY_PERCENT: "OutOfMemory",
}
# Too little throughput is a fault only while requests wait for more.
_WHILE_WAITING = {*_COUNTERS, ObjectiveMetric.GPU_UTILIZATION_PERCENT}
_BY_MODEL = "model_name"


def prometheus_rules(sheet: SloSheetSpec) -> str:
    """Return a rule file with one alert per objective, at its alert threshold or beyond its target.

    Latencies and throughputs are per model. Throughput and utilisation alert only while requests
    wait: an idle system breaks no promise. Shares are of requests in the window; success leaves
    client errors out. Series of a class are not told by vLLM: give `selector` or `query` for that.
    """
    group = {
        "name": label_value(f"fleetopt-{sheet.name}"),
        "rules": [_rule(sheet, objective) for objective in sheet.objectives],
    }
    return quoted_yaml({"groups": [group]})


def _rule(sheet: SloSheetSpec, objective: ObjectiveSpec) -> dict[str, Any]:
    metric = objective.metric
    threshold = objective.target if objective.alert is None else objective.alert
    figure = objective.query or _figure(sheet, objective)
    sign = "<" if metric.is_floor else ">"
    expression = f"({figure}) {sign} {_plain(threshold)}"
    if metric in _WHILE_WAITING and objective.query is None:
        joined = "" if metric is ObjectiveMetric.GPU_UTILIZATION_PERCENT else f"on ({_BY_MODEL}) "
        waiting = _sum(f"vllm:num_requests_waiting{_labels(sheet)}", by_model=bool(joined))
        expression += f" and {joined or 'on () '}{waiting} > 0"
    return {
        "alert": _alert_name(objective),
        "expr": expression,
        "for": sheet.hold,
        "labels": {
            "severity": "warning" if objective.alert is None else "critical",
            **{name: _untemplated(value) for name, value in sheet.labels.items()},
            "slo": _untemplated(sheet.name),
            **(
                {}
                if objective.service_class is None
                else {"service_class": _untemplated(objective.service_class)}
            ),
        },
        "annotations": _annotations(objective, threshold),
    }


def _annotations(objective: ObjectiveSpec, threshold: float) -> dict[str, str]:
    metric = objective.metric
    unit = " ms" if metric.is_latency else " %" if metric.is_percent else ""
    side = "below" if metric.is_floor else "above"
    bound = "at least" if metric.is_floor else "at most"
    what = f"{metric.value} {objective.statistic}" if metric.is_latency else metric.value
    return {
        "summary": f"{what} is {side} {_plain(threshold)}{unit}",
        "description": f"{what} is {{{{ $value | humanize }}}}{unit}; promised is {bound} "
        f"{_plain(objective.target)}{unit}.",
    }


def _figure(sheet: SloSheetSpec, objective: ObjectiveSpec) -> str:
    """Return PromQL of an objective's figure in its own unit."""
    metric, window = objective.metric, sheet.window
    if metric.is_latency:
        return _latency(sheet, objective)
    if metric in _COUNTERS:
        return _sum(f"rate({_COUNTERS[metric]}{_labels(sheet)}[{window}])", by_model=True)
    if metric is ObjectiveMetric.GPU_UTILIZATION_PERCENT:
        return f"avg(avg_over_time(DCGM_FI_DEV_GPU_UTIL{_labels(sheet)}[{window}]))"
    if metric is ObjectiveMetric.OUT_OF_MEMORY_PERCENT:
        killed = f"increase(container_oom_events_total{_labels(sheet)}[{window}])"
        asked = f"increase(vllm:request_success_total{_labels(sheet)}[{window}])"
        return f"100 * sum({killed}) / (sum({killed}) + sum({asked}))"
    counted, all_of = _SHARES[metric]
    parts = [
        f"sum(rate(http_requests_total{_labels(sheet, matcher)}[{window}]))"
        for matcher in (counted, all_of)
    ]
    return f"100 * {parts[0]} / {parts[1]}"


# Matchers of the requests counted, and of all that they are a share of.
_SHARES = {
    ObjectiveMetric.SUCCESS_PERCENT: ('status=~"2..|2xx"', 'status!~"4..|4xx"'),
    ObjectiveMetric.TIMEOUT_PERCENT: ('status=~"408|504"', ""),
}


def _latency(sheet: SloSheetSpec, objective: ObjectiveSpec) -> str:
    name, labels = _HISTOGRAMS[objective.metric], _labels(sheet)
    if objective.statistic == "mean":
        total, count = (
            _sum(f"rate({name}_{part}{labels}[{sheet.window}])", by_model=True)
            for part in ("sum", "count")
        )
        return f"1000 * {total} / {count}"
    quantile = _plain(float(objective.statistic[1:]) / 100)
    buckets = f"sum by (le, {_BY_MODEL}) (rate({name}_bucket{labels}[{sheet.window}]))"
    return f"1000 * histogram_quantile({quantile}, {buckets})"


def _sum(series: str, *, by_model: bool) -> str:
    return f"sum by ({_BY_MODEL}) ({series})" if by_model else f"sum({series})"


def _labels(sheet: SloSheetSpec, matcher: str = "") -> str:
    """Return the matchers of a series in braces; nothing where there are none."""
    parts = [f"{name}={_promql_string(value)}" for name, value in sheet.selector.items()]
    parts += [matcher] if matcher else []
    return f"{{{','.join(parts)}}}" if parts else ""


def _promql_string(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    for character, written in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        escaped = escaped.replace(character, written)
    return f'"{escaped}"'


def _untemplated(value: str) -> str:
    """Return a text that the templates of alerts leave as it is."""
    return value.replace("{{", '{{ "{{" }}')


def _alert_name(objective: ObjectiveSpec) -> str:
    statistic = ""
    if objective.metric.is_latency:
        statistic = objective.statistic.capitalize().replace(".", "_")
    group = ""
    if objective.service_class is not None:
        group = "".join(
            word[:1].upper() + word[1:]
            for word in _FOREIGN_TO_ALERTS.split(label_value(objective.service_class))
        )
    return f"Slo{_NAMES[objective.metric]}{statistic}{group}"


def _plain(value: float) -> str:
    """Return a number without an exponent or needless digits."""
    return f"{value:.10f}".rstrip("0").rstrip(".")
