"""What a profiling database holds, on a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table

from optimizer.kv.profiles.listing import ProfileListing
from optimizer.report.figures import number

__all__ = ["profiles_view"]


def profiles_view(listing: ProfileListing) -> RenderableType:
    """Return the points, and the law of each model and accelerator."""
    parts: list[RenderableType] = []
    if listing.prefills:
        points = _table("model", "accelerator", "tokens", "prefill ms", "source", "since", "until")
        for row in listing.prefills:
            points.add_row(
                row.model,
                row.accelerator,
                number(row.context_tokens),
                number(row.prefill_ms),
                row.source,
                row.recorded_at[:19],
                (row.superseded_at or "")[:19],
            )
        parts.append(points)
    if listing.laws:
        laws = _table("model", "accelerator", "points", "from", "to", "ms = a t + b t²", "off by")
        for law in listing.laws:
            laws.add_row(
                law.model,
                law.accelerator,
                number(law.points),
                number(law.from_tokens),
                number(law.to_tokens),
                f"{law.ms_per_token:.4g} t + {law.ms_per_token2:.4g} t²",
                f"{law.largest_relative_error:.1%}",
            )
        parts.append(Padding(laws, (1, 0, 0, 0)))
    if listing.devices:
        devices = _table(
            "device", "with", "tokens", "GB/s", "latency ms", "source", "since", "until"
        )
        for one in listing.devices:
            devices.add_row(
                one.device,
                " ".join(filter(None, (one.model, one.accelerator))),
                number(one.context_tokens) if one.context_tokens else "",
                number(one.bandwidth_gb_s),
                number(one.latency_ms),
                one.source,
                one.recorded_at[:19],
                (one.superseded_at or "")[:19],
            )
        parts.append(devices)
    return Group(*parts)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
