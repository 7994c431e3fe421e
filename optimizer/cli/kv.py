"""`fleetopt kv`: the loading controller for KV caches."""

from __future__ import annotations

import typer

from optimizer.cli import kv_device, kv_plan, kv_profiles, kv_ratio, kv_restore, kv_reuse, kv_study

__all__ = ["app"]

app = typer.Typer(
    help="KV caches: what to recompute, what to load, and from where.", no_args_is_help=True
)
app.command("ratio")(kv_ratio.ratio)
app.command("device")(kv_device.device)
app.command("plan")(kv_plan.plan)
app.command("restore")(kv_restore.restore)
app.command("reuse")(kv_reuse.reuse)
app.add_typer(kv_profiles.app, name="profiles")
app.command("study")(kv_study.study)
