"""`fleetopt control serve`: the control loop, with REST services beside it."""

from __future__ import annotations

import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from optimizer.cli.output import tell

__all__ = ["serve"]

_NEEDED = ("fastapi", "uvicorn", "prometheus_client")


def serve(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG", help="The control configuration.", show_default=False),
    ],
    *,
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port; 0: any that is free.")] = 8080,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="File with the token of those who may act; by default "
            "$FLEETOPT_CONTROL_TOKEN, and without one nobody may.",
            show_default=False,
        ),
    ] = None,
    slo: Annotated[
        str | None,
        typer.Option(
            "--slo",
            metavar="SHEET",
            help="SLO sheet to hold the fleet to, in place of the configuration's own.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count replicas, decide, and change nothing.")
    ] = False,
    max_body_kib: Annotated[
        int, typer.Option("--max-body-kib", help="Largest body of a request [KiB].")
    ] = 4096,
    request_seconds: Annotated[
        float, typer.Option("--request-seconds", help="Longest time of a request [s].")
    ] = 60.0,
) -> None:
    """Control a fleet, and serve /collect, /optimize, /tune, /actuate and /invoke beside it.

    The services and what they read and write are described at /openapi.json.

    For example:

      fleetopt control serve examples/control/control.yaml --dry-run

      fleetopt control serve control.yaml --token-file token --port 8081
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        from optimizer.control.errors import MissingExtraError

        raise MissingExtraError(
            f"control serve needs {', '.join(missing)}, not installed; "
            "try: pip install 'fleetopt[control]'"
        )
    from optimizer.control.configured import ConfiguredControl
    from optimizer.control.rest import Services, create_app, read_token
    from optimizer.control.rest.limits import RequestLimits
    from optimizer.engine.emulator.serving import opened_socket
    from optimizer.engine.emulator.serving import serve as serve_app

    limits = RequestLimits(body_bytes=1024 * max_body_kib, seconds=request_seconds)
    token = read_token(token_file)
    control = ConfiguredControl(config, slo=slo, dry_run=dry_run)
    listening = opened_socket(host, port)
    services = Services(control, time.time, patience_s=request_seconds / 2)
    address, taken = listening.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    who = "those with the token may act" if token else "without a token nobody may act"
    tell(f"fleetopt: controlling {control.spec.name} at http://{shown}:{taken}; {who}")
    with suppress(KeyboardInterrupt):  # it may end of itself by then
        serve_app(create_app(services, token, limits), listening, lambda: None)
    tell("fleetopt: ended; the replicas stay as they are")
