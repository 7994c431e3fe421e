"""Options of `fleetopt capacity sheet`: what the sheet is about, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.capacity_options import (
    BatchedTokens,
    EngineName,
    KVDtype,
    MaxSequences,
    Utilization,
    engine_settings,
    read_model,
)
from optimizer.cli.fleet_options import Json
from optimizer.cli.option_groups import panel_option

if TYPE_CHECKING:
    from optimizer.capacity.sheets import Sheet, SheetCase

__all__ = ["CaseOptions", "ShownAs", "show_sheet"]

_CASE = "The case (default: Llama-2-70B in int8 on one H100 of 80 GB at 3.50 USD/h)"
_HAND = "Round figures by hand"
_ENGINE = "The engine"


@dataclass(frozen=True, kw_only=True)
class CaseOptions:
    """Model, accelerator and engine of a sheet."""

    model: Annotated[
        str | None,
        panel_option(
            "--model", "Hub id in the catalogue, config.json, or - for stdin.", _CASE, "MODEL"
        ),
    ] = None
    accelerator: Annotated[
        str | None, panel_option("--accelerator", "Name in the catalogue.", _CASE, "NAME")
    ] = None
    precision: Annotated[
        str | None, panel_option("--precision", "Format of the weights.", _CASE, "NAME")
    ] = None
    kv_dtype: KVDtype = "auto"
    tensor_parallel: Annotated[
        int, panel_option("--tensor-parallel", "Accelerators of a replica.", _CASE, "N")
    ] = 1
    usd_per_hour: Annotated[
        float | None,
        panel_option("--usd-per-hour", "Price of an accelerator; else the catalogue's.", _CASE),
    ] = None
    parameters_billions: Annotated[
        float | None,
        panel_option("--parameters-billions", "Round number of parameters [1e9].", _HAND),
    ] = None
    overhead_gb: Annotated[
        float | None, panel_option("--overhead-gb", "Framework per accelerator.", _HAND)
    ] = None
    activation_gb: Annotated[
        float | None, panel_option("--activation-gb", "Activations per accelerator.", _HAND)
    ] = None
    pool_gb: Annotated[
        float | None, panel_option("--pool-gb", "KV pool, instead of what is left.", _HAND)
    ] = None
    engine: EngineName = "vllm"
    utilization: Utilization = 0.9
    batched_tokens: BatchedTokens = 8192
    max_sequences: MaxSequences = 1024

    def case(self) -> SheetCase:
        """Return the case; what is not given is the reference's where the model is.

        Raises
        ------
        CapacityError, UnknownEntryError, SpecError
            If an option is wrong.
        """
        from optimizer.capacity.sheets import SheetCase, reference_case
        from optimizer.catalog import accelerator

        reference = reference_case()
        settings = engine_settings(
            self.engine, self.utilization, self.batched_tokens, self.max_sequences
        )
        facts = reference.facts if self.accelerator is None else accelerator(self.accelerator)
        if self.usd_per_hour is not None:
            facts = replace(facts, usd_per_hour=self._price(self.usd_per_hour))
        own = self.model is not None
        parameters = None if own else reference.parameters
        if self.parameters_billions is not None:
            parameters = self.parameters_billions * 1e9
        hand = {
            name: value
            for name, value in (
                ("overhead_gb", self.overhead_gb),
                ("activation_gb", self.activation_gb),
                ("pool_gb", self.pool_gb),
            )
            if value is not None
        }
        return SheetCase(
            model=read_model(self.model or reference.model.model_id, self.kv_dtype),
            facts=facts,
            precision=self.precision or ("auto" if own else reference.precision),
            tensor_parallel=self.tensor_parallel,
            parameters=parameters,
            settings=settings,
            **hand,
        )

    @staticmethod
    def _price(usd_per_hour: float) -> float:
        from optimizer.capacity.errors import require_positive

        return require_positive("usd_per_hour", usd_per_hour)


@dataclass(frozen=True, kw_only=True)
class ShownAs:
    """How a sheet is shown."""

    as_json: Json = False
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown instead of text.")
    ] = False


def show_sheet(sheet: Sheet, shown: ShownAs) -> None:
    """Print a sheet as text, JSON or Markdown."""
    from optimizer.cli.output import show, write_data

    if shown.as_json and shown.as_markdown:
        raise typer.BadParameter("choose one of --json and --markdown")
    if shown.as_json:
        import json

        # What is never reached is null: JSON has no infinity.
        text = json.dumps(sheet.to_document(), indent=2, ensure_ascii=False, allow_nan=False)
        write_data(text, None)
        return
    if shown.as_markdown:
        from optimizer.report.sheet_text import sheet_markdown

        write_data(sheet_markdown(sheet), None)
        return
    from optimizer.report.sheet_text import sheet_view

    show(sheet_view(sheet))
