"""Options of `fleetopt simulate`: what services are asked for, and how exactly to simulate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.option_groups import panel_option

if TYPE_CHECKING:
    from optimizer.engine import OfferedLoad
    from queue_models import Statistic

__all__ = ["EffortOptions", "OfferedLoadOptions"]

_LOAD, _EFFORT = "What services are asked for", "How exactly"
_OF = "[SERVICE=]"


@dataclass(frozen=True, kw_only=True)
class OfferedLoadOptions:
    """Loads in place of the fleet's; each for one service, or for all that none is given for."""

    trace: Annotated[
        list[str] | None,
        panel_option(
            "--trace",
            "Recorded requests: a CSV file (as Azure's, or with arrival_s, input_tokens and "
            "output_tokens) or Mooncake's JSON lines with their prefixes. At the service's own "
            "rate. May be repeated.",
            _LOAD,
            f"{_OF}FILE",
        ),
    ] = None
    as_recorded: Annotated[
        bool, panel_option("--as-recorded", "Traces at the rate they were recorded at.", _LOAD)
    ] = False
    spread_ms: Annotated[
        float | None,
        panel_option(
            "--spread-ms",
            "Spread a trace's arrivals over this time from their stamp on: some are recorded "
            "every 3000 ms or so.",
            _LOAD,
            "MS",
        ),
    ] = None
    arrivals: Annotated[
        list[str] | None,
        panel_option(
            "--arrivals",
            "poisson, gamma:SCV, mmpp:LEVEL@SECONDS,LEVEL@SECONDS, diurnal:SWING:PEAK_HOUR or "
            "periodic:SECONDS:LEVEL,LEVEL, at the service's mean rate. May be repeated.",
            _LOAD,
            f"{_OF}PROCESS",
        ),
    ] = None
    input_lengths: Annotated[
        list[str] | None,
        panel_option(
            "--input-lengths",
            "Prompts: fixed:TOKENS, geometric:MEAN, lognormal:MEAN:SCV or "
            "empirical:TOKENS,TOKENS. May be repeated.",
            _LOAD,
            f"{_OF}LENGTHS",
        ),
    ] = None
    output_lengths: Annotated[
        list[str] | None,
        panel_option("--output-lengths", "Outputs, likewise.", _LOAD, f"{_OF}LENGTHS"),
    ] = None

    def loads(self) -> dict[str, OfferedLoad]:
        """Return what is asked for, by service; "" stands for those not named."""
        given = {
            option: _by_service(f"--{option}", values or ())
            for option, values in (
                ("trace", self.trace),
                ("arrivals", self.arrivals),
                ("input-lengths", self.input_lengths),
                ("output-lengths", self.output_lengths),
            )
        }
        if not given["trace"] and (self.as_recorded or self.spread_ms is not None):
            option = "--as-recorded" if self.as_recorded else "--spread-ms"
            raise typer.BadParameter("concerns traces; give one by --trace", param_hint=option)
        names = dict.fromkeys(name for values in given.values() for name in values)
        return {
            name: self._load({option: values.get(name) for option, values in given.items()})
            for name in names
        }

    def _load(self, given: dict[str, str | None]) -> OfferedLoad:
        from optimizer.engine import OfferedLoad, parse_arrivals, parse_lengths, read_trace

        words = [text for option, text in given.items() if text is not None and option != "trace"]
        trace = given["trace"]
        if trace is not None:
            if words:
                raise typer.BadParameter(
                    f"{trace} has its own arrivals and lengths; leave out {words[0]}",
                    param_hint="--trace",
                )
            recorded = read_trace(trace)
            if self.spread_ms is not None:
                if not 0 < self.spread_ms < 1e9:
                    raise typer.BadParameter(
                        f"{self.spread_ms:g}: must be above 0 (ms)", param_hint="--spread-ms"
                    )
                recorded = recorded.spread(self.spread_ms)
            pace = " as recorded" if self.as_recorded else ""
            return OfferedLoad(
                trace=recorded, as_recorded=self.as_recorded, words=f"trace {trace}{pace}"
            )
        rate, scv = (None, None) if given["arrivals"] is None else parse_arrivals(given["arrivals"])
        prompts, outputs = given["input-lengths"], given["output-lengths"]
        return OfferedLoad(
            rate=rate,
            scv=scv,
            input_lengths=None if prompts is None else parse_lengths(prompts),
            output_lengths=None if outputs is None else parse_lengths(outputs),
            words=", ".join(
                f"{option.replace('-', ' ')} {text}"
                for option, text in given.items()
                if text is not None
            ),
        )


@dataclass(frozen=True, kw_only=True)
class EffortOptions:
    """When a service has been simulated long enough."""

    precision: Annotated[
        float,
        typer.Option(
            "--precision",
            help="Half-width of the 95 % interval to reach, as a share of every figure.",
            rich_help_panel=_EFFORT,
        ),
    ] = 0.02
    precise: Annotated[
        str | None,
        panel_option(
            "--precise",
            "Figures it is asked of, such as ttft_p99,itl_mean; by default all shown.",
            _EFFORT,
            "STATISTIC,...",
        ),
    ] = None
    replications: Annotated[
        int | None,
        panel_option(
            "--replications",
            "Independent runs, at least; by default one long run in batches, but 5 where the "
            "rate comes round.",
            _EFFORT,
            "N",
        ),
    ] = None
    most_requests: Annotated[
        int,
        typer.Option(
            "--most-requests",
            help="Requests simulated of a service at most, precise or not.",
            rich_help_panel=_EFFORT,
        ),
    ] = 1_000_000
    seed: Annotated[int, typer.Option("--seed", help="Seed.", rich_help_panel=_EFFORT)] = 0

    @property
    def statistics(self) -> tuple[Statistic, ...] | None:
        """The figures that precision is asked of; None: all."""
        from optimizer.engine import parse_statistic

        if self.precise is None:
            return None
        return tuple(parse_statistic(part) for part in self.precise.split(","))


def _by_service(option: str, values: Sequence[str]) -> dict[str, str]:
    """Return the values of a repeated option by service; "" where none is named."""
    found: dict[str, str] = {}
    for value in values:
        service, equals, text = value.partition("=")
        name, text = (service.strip(), text) if equals else ("", value)
        if not text.strip() or (equals and not name):
            raise typer.BadParameter(
                f"'{value}': wanted SERVICE=WHAT, or WHAT for all", param_hint=option
            )
        if name in found:
            of = f" of {name}" if name else ""
            raise typer.BadParameter(f"'{value}': there is one{of} already", param_hint=option)
        found[name] = text.strip()
    return found
