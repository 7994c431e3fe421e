"""`fleetopt operator`: the Kubernetes operator, and what is installed for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optimizer.cli.output import tell, write_data

__all__ = ["app"]

app = typer.Typer(
    help="The Kubernetes operator: custom resources kept at their optimum.", no_args_is_help=True
)


@app.command("run")
def run(
    *,
    namespace: Annotated[
        str | None,
        typer.Option(
            "-n", "--namespace", help="Namespace to act in; by default that of the credentials."
        ),
    ] = None,
    prometheus: Annotated[
        str, typer.Option("--prometheus", metavar="URL", help="Prometheus server with the figures.")
    ] = "http://prometheus:9090",
    prometheus_ca_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", exists=True, dir_okay=False, help="Certificates to trust for it."
        ),
    ] = None,
    prometheus_bearer_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", exists=True, dir_okay=False, help="File with a bearer token for it."
        ),
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="By default the pod's own service account, else as kubectl finds it.",
        ),
    ] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
    listen: Annotated[
        str, typer.Option(metavar="ADDRESS:PORT", help="Where /metrics and /healthz are served.")
    ] = "127.0.0.1:8080",
    lease_seconds: Annotated[
        float, typer.Option(min=3, max=600, help="Duration of the Lease that one process holds.")
    ] = 15.0,
) -> None:
    """Keep the fleet that a namespace's custom resources describe at its optimum.

    For example:

      fleetopt operator run --namespace llm --prometheus http://prometheus.monitoring:9090

      fleetopt operator run --kubeconfig ~/.kube/config --listen 0.0.0.0:8080
    """
    from prometheus_client import CollectorRegistry

    from optimizer.control.collectors.prometheus_query import PrometheusQueries
    from optimizer.control.kubernetes import ApiServer, checked_name, find_credentials
    from optimizer.control.kubernetes.lease import LeaseLock, new_identity
    from optimizer.control.operator.health import Health, serve
    from optimizer.control.operator.metrics import OperatorMetrics
    from optimizer.control.operator.reconciler import Reconciler
    from optimizer.control.operator.running import OperatorLoop, watch

    address, port = _address(listen)
    credentials = find_credentials(kubeconfig, context)
    place = checked_name("--namespace", namespace or credentials.namespace)
    options: dict[str, str] = {"url": prometheus}
    for key, file in (("ca_file", prometheus_ca_file), ("bearer_file", prometheus_bearer_file)):
        if file is not None:
            options[key] = str(file)
    identity = new_identity()
    PrometheusQueries(prometheus, ca_file=options.get("ca_file")).close()  # refused now or never
    server = ApiServer(credentials)
    registry, health = CollectorRegistry(), Health()
    listening = serve(address, port, health, registry)
    try:
        lease = LeaseLock(server, place, "fleetopt-operator", identity, lease_seconds)
        reconciler = Reconciler(server, place, lease, options)
        loop = OperatorLoop(reconciler, lease, OperatorMetrics(registry), health)
        tell(
            f"fleetopt: operator of namespace {place} as {identity}; "
            f"metrics on {address}:{listening.server_port}"
        )
        watch(loop, credentials, place)
    finally:
        listening.shutdown()
        listening.server_close()
        server.close()


@app.command("crds")
def crds(
    *,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to this file.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="As one JSON document of kind List.")
    ] = False,
) -> None:
    """Print the definitions of the custom resources, made of the same models as fleet files.

    For example:

      fleetopt operator crds | kubectl apply -f -

      fleetopt operator crds -o deploy/kubernetes/crds.yaml
    """
    import json

    from optimizer.control.operator import definitions
    from optimizer.spec.dumping import write_yaml

    found = definitions()
    if as_json:
        listed = {"apiVersion": "v1", "kind": "List", "items": found}
        write_data(json.dumps(listed, indent=2, ensure_ascii=False) + "\n", output)
        return
    head = "# Made by `fleetopt operator crds`; not to be edited.\n"
    write_data(head + "---\n".join(write_yaml(one) for one in found), output)


def _address(listen: str) -> tuple[str, int]:
    """Return host and port of ADDRESS:PORT."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) >= 2**16:
        raise typer.BadParameter(
            f"{listen!r}: must be ADDRESS:PORT, such as 127.0.0.1:8080", param_hint="--listen"
        )
    return host.strip("[]"), int(port)
