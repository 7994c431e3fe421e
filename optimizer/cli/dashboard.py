"""`fleetopt dashboard`: a fleet in a browser, solved anew as its figures move."""

from __future__ import annotations

import json
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import Json
from optimizer.cli.output import tell, write_data

if TYPE_CHECKING:
    from optimizer.dashboard import DashboardSettings, GivenScenario

__all__ = ["dashboard"]

_NEEDED = ("starlette", "uvicorn", "prometheus_client", "jinja2", "matplotlib")


def dashboard(
    fleet: Annotated[
        str | None,
        typer.Argument(
            metavar="[FLEET]",
            help="The fleet to begin with: a YAML or JSON file, a document of inferno or Mélange, "
            "or - for stdin. Others can be opened or pasted in the browser.",
            show_default=False,
        ),
    ] = None,
    *,
    lab: Annotated[
        Path | None,
        typer.Option(
            "--lab",
            metavar="SCENARIO",
            help="A scenario of `fleetopt control lab` to offer on the laboratory's page.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port; 0: any that is free.")] = 8765,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="A further name that browsers may call it by, as behind a proxy; may be repeated.",
            show_default=False,
        ),
    ] = None,
    time_limit: Annotated[
        float, typer.Option("--time-limit", help="Seconds a solve may take, unless the page says.")
    ] = 10.0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Move loads, objectives, prices and quotas in a browser; the fleet is solved anew each time.

    Plans are pinned and compared; fronts, repairs, swings, KV caches, capacity and the control
    laboratory have their pages. Whatever the page shows can be had by the command line that it
    gives. Nothing is fetched from anywhere; ends at Ctrl-C. With --json, where it listens is
    printed as one document.

    For example:

      fleetopt dashboard examples/fleet.yaml

      fleetopt dashboard examples/fleet.yaml --port 0 --no-browser --json
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        from solvers import MissingExtraError

        raise MissingExtraError(
            f"the dashboard needs {', '.join(missing)}, not installed; "
            f"try: pip install 'fleetopt[dashboard]'"
        )
    from optimizer.dashboard import create_dashboard
    from optimizer.engine.emulator.serving import opened_socket, serve
    from optimizer.engine.errors import require_within

    require_within("--port", port, 0, 65_535)
    require_within("--time-limit", time_limit, 0.1, 3600.0)
    app = create_dashboard(_settings(fleet, lab, host, allow_host or [], time_limit))
    listening = opened_socket(host, port)
    url = _url(*listening.getsockname()[:2])
    if as_json:
        write_data(json.dumps({"schema_version": 1, "url": url}) + "\n", None)
    else:
        tell(f"fleetopt: dashboard at {url} (Ctrl-C ends it)")
    if not _is_loopback(host):
        tell("fleetopt: whoever reaches that address can use it: there is no password")
    if browser:
        import webbrowser

        webbrowser.open(url)
    try:
        serve(app, listening, lambda: None)
    except KeyboardInterrupt:
        tell("fleetopt: ended")
    raise typer.Exit(ExitCode.OK)


def _settings(
    fleet: str | None, lab: Path | None, host: str, names: list[str], time_limit_s: float
) -> DashboardSettings:
    from optimizer.dashboard import DashboardSettings
    from optimizer.dashboard.fleet_routes import laid_out
    from optimizer.spec import load

    loaded = None
    if fleet is not None:
        name = "fleet.yaml" if fleet == "-" else Path(fleet).name
        loaded = laid_out(load(fleet), name, path=None if fleet == "-" else fleet)
    return DashboardSettings(
        fleet=loaded,
        scenario=None if lab is None else _given(lab),
        names=frozenset(name.lower() for name in (host, *names)),
        any_address=not _is_loopback(host),
        time_limit_s=time_limit_s,
    )


def _given(path: Path) -> GivenScenario:
    from optimizer.control.configured import fleet_of_control
    from optimizer.control.spec import load_scenario
    from optimizer.dashboard import GivenScenario

    scenario = load_scenario(path)
    return GivenScenario(scenario, fleet_of_control(scenario.control, path.parent), path)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"
