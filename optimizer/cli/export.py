"""`fleetopt export`: a plan for a cluster or a spreadsheet, a fleet for another solver."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.fleet_options import read_fleet
from optimizer.cli.option_groups import panel_option, with_option_groups
from optimizer.cli.output import write_data
from optimizer.cli.plan_options import read_plan

if TYPE_CHECKING:
    from optimizer.report.manifests import ManifestSettings

__all__ = ["export"]

_CLUSTER = "Kubernetes"


class Format(StrEnum):
    """What is written."""

    KUBERNETES = "kubernetes"
    HPA = "hpa"
    KEDA = "keda"
    KSERVE = "kserve"
    CSV = "csv"
    MPS = "mps"
    LP = "lp"
    PROMETHEUS_RULES = "prometheus-rules"


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """What a plan does not know of its cluster."""

    namespace: Annotated[
        str | None, panel_option("--namespace", "Namespace of the objects.", _CLUSTER)
    ] = None
    image: Annotated[
        str | None, panel_option("--image", "Image of the engine, with vLLM's arguments.", _CLUSTER)
    ] = None
    card_resource: Annotated[
        str | None,
        panel_option("--card-resource", "Resource of a card, nvidia.com/gpu by default.", _CLUSTER),
    ] = None
    node_label: Annotated[
        str | None,
        panel_option("--node-label", "Label of nodes that names their accelerator.", _CLUSTER),
    ] = None
    headroom: Annotated[
        float | None,
        panel_option(
            "--headroom",
            "Share by which autoscalers may pass the plan's replicas, 0.5 by default.",
            _CLUSTER,
        ),
    ] = None
    prometheus: Annotated[
        str | None, panel_option("--prometheus", "Address that KEDA asks.", _CLUSTER)
    ] = None
    fleet: Annotated[
        str | None,
        panel_option("--fleet", "The plan's fleet: gives the hub ids of its models.", _CLUSTER),
    ] = None

    def settings(self) -> ManifestSettings:
        """Return the settings, defaults where nothing was given."""
        from optimizer.report.manifests import ManifestSettings

        if self.headroom is not None and not 0 <= self.headroom < 1e6:
            raise typer.BadParameter(f"--headroom {self.headroom:g}: must be 0 or more")
        given = {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if value is not None and name != "fleet"
        }
        ids = {}
        if self.fleet is not None:
            ids = {m.name: m.catalog for m in read_fleet(self.fleet).models if m.catalog}
        return ManifestSettings(**given, model_ids=ids)


@with_option_groups
def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PLAN|FLEET|SHEET",
            help="A plan as JSON; for mps and lp a fleet; for prometheus-rules an SLO sheet; - for "
            "stdin.",
            show_default=False,
        ),
    ],
    *,
    format: Annotated[  # noqa: A002 - the option's name
        Format,
        typer.Option(
            "--format",
            help="kubernetes (Deployments), hpa and keda (bounds of autoscalers), kserve "
            "(LLMInferenceServices), csv; mps and lp: a fleet's array problem; prometheus-rules: "
            "alerts of an SLO sheet.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to this file.")
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option(
            "--scenario",
            help="Of a plan for uncertain loads: which load's plan, by default the costliest's.",
            show_default=False,
        ),
    ] = None,
    cluster: ClusterOptions,
) -> None:
    """Write a plan for a cluster or a spreadsheet, a fleet for another solver, SLOs as alerts.

    Under strict priorities the problem is solved first, and mps and lp hold its last stage: least
    cost with no more unserved than proven necessary.

    For example:

      fleetopt solve examples/fleet.yaml --json | fleetopt export - --format kubernetes

      fleetopt export examples/fleet.yaml --format mps -o fleet.mps

      fleetopt export examples/slo.yaml --format prometheus-rules -o slo.rules.yml
    """
    if format in (Format.MPS, Format.LP):
        write_data(_model(source, format), output)
        return
    if format is Format.PROMETHEUS_RULES:
        from optimizer.report.prometheus_rules import prometheus_rules
        from optimizer.spec import load_slo

        write_data(prometheus_rules(load_slo(source)), output)
        return
    plan = read_plan(source, scenario)
    plan.require()
    if format is Format.CSV:
        from optimizer.report.plan_csv import plan_csv

        write_data(plan_csv(plan), output)
        return
    from optimizer.report.manifests import manifests

    write_data(manifests(plan, format.value, cluster.settings()), output)


def _model(source: str, format: Format) -> str:  # noqa: A002
    """Return the text of the array problem of a fleet."""
    from optimizer.fleet import write_cost_stage

    fleet = read_fleet(source)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"fleet.{format.value}"
        write_cost_stage(fleet, path)
        return path.read_text(encoding="utf-8")
