"""`fleetopt kv study`: tables and pictures of KV caches, model by model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.fleet_options import Json
from optimizer.cli.kv_options import faults_by_option
from optimizer.cli.output import show, tell, write_data, writing_to

if TYPE_CHECKING:
    from optimizer.kv.reuse import BlockTrace

__all__ = ["study"]

_MODELS = ("meta-llama/Llama-3.1-8B",)
_DEVICES = ("cpu_dram_pcie5", "nvme_gen5", "nvme_paper", "rdma_200g", "aws_s3_express")


def study(
    *,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", help="Hub id or config.json; may be repeated.", metavar="MODEL"),
    ] = None,
    accelerator: Annotated[
        str, typer.Option("--accelerator", help="Of the catalogue.")
    ] = "H100-SXM",
    devices: Annotated[
        list[str] | None,
        typer.Option(
            "--device", help="Where KV caches go; may be repeated; cold blocks on the first."
        ),
    ] = None,
    hit_rate: Annotated[
        float, typer.Option("--hit-rate", help="Share of a prompt that is found.")
    ] = 0.5,
    trace: Annotated[
        str | None,
        typer.Option("--trace", help="For hot and cold, as of kv reuse; default: a made-up one."),
    ] = None,
    page: Annotated[
        Path | None, typer.Option("-o", "--output", help="HTML page with tables and pictures.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Folder for a CSV file per table.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show where time and memory go with KV caches, and what to do about it.

    Prefill's share, KV memory, batches, reuse, swap against recompute, micro-batches, offloading
    and prefetching, hot and cold blocks; for each model, on the least accelerators that hold it.

    For example:

      fleetopt kv study --model meta-llama/Llama-3.1-8B -o study.html

      fleetopt kv study --model 01-ai/Yi-34B --accelerator A100-80GB-SXM --device cpu_dram_pcie4 \
--device nvme_gen4 --csv tables
    """
    if page is not None:
        from optimizer.report.html import require_pages

        require_pages()
    with faults_by_option():
        from optimizer.capacity import ModelArchitecture
        from optimizer.catalog import accelerator as catalogued
        from optimizer.experiments.kv_study import ServedModel, study_kv
        from optimizer.kv.device_text import device_named
        from optimizer.kv.ranges import Range, refuse_outside

        refuse_outside({"hit_rate": hit_rate}, {"hit_rate": Range(high=1.0)})
        facts = catalogued(accelerator)
        served = [ServedModel.of(ModelArchitecture(name), facts) for name in models or _MODELS]
        replayed, name = _trace(trace)
        found = study_kv(
            served,
            [device_named(text) for text in devices or _DEVICES],
            replayed,
            trace_name=name,
            hit_rate=hit_rate,
        )
    if csv is not None:
        from optimizer.report.kv_study_text import write_csv_tables

        with writing_to(csv, "--csv"):
            tell(f"fleetopt: {len(write_csv_tables(found, csv))} tables in {csv}")
    if page is not None:
        from optimizer.report.html import kv_study_page

        write_data(kv_study_page(found), page)
        tell(f"fleetopt: {page} written")
    if as_json:
        write_data(found.model_dump_json(indent=2), None)
    elif page is None and csv is None:
        from optimizer.report.kv_study_text import kv_study_view

        show(kv_study_view(found))


def _trace(path: str | None) -> tuple[BlockTrace, str]:
    from optimizer.experiments.kv_study import made_up_trace
    from optimizer.kv.reuse import read_trace

    if path is None:
        return made_up_trace(), "Made-up questions on documents by Zipf's law"
    return read_trace(path), Path(path).name
