"""Regressions of timing laws on measurements, with confidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.errors import Fault
from optimizer.performance.measurements.table import MeasurementError, MeasurementTable
from optimizer.performance.nonnegative import NonnegativeFit, nonnegative_fit
from optimizer.performance.numbers import FloatArray

__all__ = ["FORMS", "Coefficient", "FittedTiming", "fit_measurements"]

_CONFIDENCE = 0.95
ITERATION_COLUMNS = ("decode_tokens", "prefill_tokens", "kv_tokens", "time_ms")
SERVING_COLUMNS = ("concurrency", "input_tokens", "output_tokens", "ttft_ms", "tpot_ms")
_ITERATION_LAW = ("base_ms", "decode_ms_per_token", "prefill_ms_per_token", "kv_ms_per_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """One fitted number.

    Parameters
    ----------
    value
        The estimate, >= 0.
    low, high
        Its 95 % confidence interval; None where the rows are too few or too alike to say.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedTiming:
    """A timing law fitted on measurements.

    Parameters
    ----------
    form
        `iteration`, `serving` or `benchmark`: what was measured.
    law
        `iteration` or `prefill_decode`: which law of the fleet file the coefficients are of.
    coefficients
        By the law's names.
    rows
        Measurements used.
    max_batch
        Most sequences that were measured together.
    observed_ms, fitted_ms
        Times that were measured and what the law says of them, each of shape (n,).
    r_squared
        Share of the variance of the times explained.
    notes
        What one should know, e.g. coefficients that the rows do not tell apart.
    """

    form: str
    law: str
    coefficients: dict[str, Coefficient]
    rows: int
    max_batch: int
    observed_ms: FloatArray
    fitted_ms: FloatArray
    r_squared: float
    notes: tuple[str, ...]

    @property
    def median_error(self) -> float:
        """Median absolute relative error of the law on its rows."""
        return float(np.median(np.abs(self.fitted_ms / self.observed_ms - 1)))


def fit_measurements(table: MeasurementTable, form: str | None = None) -> FittedTiming:
    """Fit a timing law; the form is told by the columns unless it is given.

    - `iteration`: decode_tokens, prefill_tokens, kv_tokens, time_ms of single iterations.
    - `serving`: concurrency, input_tokens, output_tokens, ttft_ms, tpot_ms of a closed loop.
    - `benchmark`: a column `benchmark` of `synchronous` and `throughput` runs beside those of
      `serving`; yields the law by phase, as the Workload Variant Autoscaler derives it.

    Raises
    ------
    MeasurementError
        If columns are missing, a cell is no time, or the rows are too few.
    """
    chosen = form or _form_of(table)
    if chosen not in FORMS:
        fault = f"unknown form {chosen!r}; there are: {', '.join(FORMS)}"
        raise MeasurementError([Fault(fault, source=table.source)])
    return FORMS[chosen](table)


def _form_of(table: MeasurementTable) -> str:
    if "benchmark" in table.columns:
        return "benchmark"
    return "iteration" if "decode_tokens" in table.columns else "serving"


def _fit_iterations(table: MeasurementTable) -> FittedTiming:
    """Least squares of iteration times on the work in them."""
    decode, prefill, cached, time = table.numbers(ITERATION_COLUMNS, positive=("time_ms",))
    columns = np.stack([np.ones_like(time), decode, prefill, cached], axis=1)
    return _finished(table, "iteration", columns, time, int(np.max(decode)))


def _fit_serving(table: MeasurementTable) -> FittedTiming:
    """Least squares of times per output token in a closed loop.

    With C requests of I and O tokens, TPOT = base + decode·C + kv·C·(I + O/2) +
    prefill·I·(C - 1)/O·f: during a request's answer the C - 1 others come back once per cycle, and
    f = O·TPOT/(TTFT + O·TPOT) is the measured share of its cycle that the answer takes.
    """
    requests, prompt, answer, ttft, tpot = table.numbers(
        SERVING_COLUMNS, positive=("concurrency", "output_tokens", "tpot_ms")
    )
    decoding = answer * tpot
    share = decoding / (ttft + decoding)
    columns = np.stack(
        [
            np.ones_like(tpot),
            requests,
            prompt * np.maximum(requests - 1, 0) / answer * share,
            requests * (prompt + answer / 2),
        ],
        axis=1,
    )
    return _finished(table, "serving", columns, tpot, int(np.max(requests)))


def _finished(
    table: MeasurementTable, form: str, columns: FloatArray, time: FloatArray, batch: int
) -> FittedTiming:
    _require_rows(table, len(time), len(_ITERATION_LAW))
    fitted = nonnegative_fit(columns, time, relative=True)
    if fitted.coefficients[0] <= 0:
        text = "the times give no base above 0: add rows of little work (one sequence, no prompt)"
        raise MeasurementError([Fault(text, "time per iteration", source=table.source)])
    return FittedTiming(
        form=form,
        law="iteration",
        coefficients=_coefficients(_ITERATION_LAW, fitted, len(time)),
        rows=len(time),
        max_batch=max(batch, 1),
        observed_ms=time,
        fitted_ms=columns @ fitted.coefficients,
        r_squared=fitted.r_squared,
        notes=_notes(_ITERATION_LAW, columns, fitted),
    )


def _fit_benchmarks(table: MeasurementTable) -> FittedTiming:
    """Decode alpha + beta·n and prefill gamma + delta·tokens·n from runs at two or more n."""
    table.require(("benchmark", *SERVING_COLUMNS))
    requests, prompt, _, ttft, tpot = table.numbers(
        SERVING_COLUMNS, positive=("concurrency", "output_tokens", "ttft_ms", "tpot_ms")
    )
    _require_two_loads(table, requests)
    ones = np.ones_like(tpot)
    decode_columns = np.stack([ones, requests], axis=1)
    prefill_columns = np.stack([ones, prompt * requests], axis=1)
    decode = nonnegative_fit(decode_columns, tpot, relative=True)
    prefill = nonnegative_fit(prefill_columns, ttft, relative=True)
    fitted = [decode_columns @ decode.coefficients, prefill_columns @ prefill.coefficients]
    of_decode, of_prefill = (
        ("decode_base_ms", "decode_ms_per_request"),
        ("prefill_base_ms", "prefill_ms_per_token"),
    )
    return FittedTiming(
        form="benchmark",
        law="prefill_decode",
        coefficients={
            **_coefficients(of_decode, decode, len(tpot)),
            **_coefficients(of_prefill, prefill, len(tpot)),
        },
        rows=len(tpot),
        max_batch=max(round(float(np.max(requests))), 1),
        observed_ms=np.concatenate([tpot, ttft]),
        fitted_ms=np.concatenate(fitted),
        r_squared=min(decode.r_squared, prefill.r_squared),
        notes=(
            *_notes(of_decode, decode_columns, decode),
            *_notes(of_prefill, prefill_columns, prefill),
        ),
    )


def _require_two_loads(table: MeasurementTable, requests: FloatArray) -> None:
    faults = [
        Fault(
            "must be synchronous or throughput", "benchmark", kind, source=table.source, line=line
        )
        for line, kind in zip(table.lines, table.columns["benchmark"], strict=True)
        if kind not in ("synchronous", "throughput")
    ]
    if not faults and len(np.unique(requests)) < 2:
        text = "all rows have the same concurrency; a synchronous (1) and a throughput run differ"
        faults = [Fault(text, "concurrency", source=table.source)]
    if faults:
        raise MeasurementError(faults)


def _require_rows(table: MeasurementTable, rows: int, wanted: int) -> None:
    if rows < wanted:
        text = f"{rows} rows cannot tell {wanted} coefficients apart"
        hint = f"measure at least {wanted}, of different batches, contexts and prompts"
        raise MeasurementError([Fault(text, source=table.source, hint=hint)])


def _coefficients(
    names: Sequence[str], fitted: NonnegativeFit, rows: int
) -> dict[str, Coefficient]:
    from scipy.stats import t

    freedom = rows - len(names)
    width = float(t.ppf((1 + _CONFIDENCE) / 2, freedom)) if freedom > 0 else np.nan
    found = {}
    for name, value, error in zip(names, fitted.coefficients, fitted.standard_errors, strict=True):
        known = bool(np.isfinite(error) and np.isfinite(width))
        found[name] = Coefficient(
            value=float(value),
            low=max(float(value - width * error), 0.0) if known else None,
            high=float(value + width * error) if known else None,
        )
    return found


def _notes(names: Sequence[str], columns: FloatArray, fitted: NonnegativeFit) -> tuple[str, ...]:
    """Say what the rows do not: constant columns, coefficients at 0, too few rows."""
    notes = []
    for place, name in enumerate(names):
        values = columns[:, place]
        if name != names[0] and np.ptp(values) == 0:
            notes.append(f"{name} is not determined: its work is {values[0]:g} in every row")
        elif fitted.coefficients[place] == 0:
            notes.append(f"{name} is at its bound of 0: the rows would have it negative")
    if len(columns) <= len(names):
        notes.append(f"{len(columns)} rows for {len(names)} coefficients: no confidence intervals")
    elif np.any(np.isnan(fitted.standard_errors)) and not notes:
        notes.append("the rows do not tell all coefficients apart: no confidence intervals")
    return tuple(notes)


FORMS: dict[str, Callable[[MeasurementTable], FittedTiming]] = {
    "iteration": _fit_iterations,
    "serving": _fit_serving,
    "benchmark": _fit_benchmarks,
}
