"""What a forecaster is told before it sees anything."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.control.forecast.errors import ForecastError

__all__ = ["ForecastSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastSettings:
    """Settings that all forecasters understand.

    Parameters
    ----------
    season_steps
        Steps of a season, at least 2; None: it is looked for in the data.
    most_season_steps
        Longest season looked for.
    scored_steps
        Steps ahead whose errors are kept: spreads and the choice among methods are theirs. The
        spread further ahead is extrapolated.
    memory_steps
        Steps after which an error counts for 1/e of a new one.
    least
        Forecasts are not below this: rates and lengths are not negative.

    Raises
    ------
    ForecastError
        Naming what is out of range.
    """

    season_steps: int | None = None
    most_season_steps: int = 1440
    scored_steps: int = 6
    memory_steps: float = 100.0
    least: float = 0.0

    def __post_init__(self) -> None:
        ranges = {
            "season_steps": (self.season_steps, 2),
            "most_season_steps": (self.most_season_steps, 2),
            "scored_steps": (self.scored_steps, 1),
            "memory_steps": (self.memory_steps, 1),
        }
        for name, (value, least) in ranges.items():
            if value is not None and not least <= value < 10**7:
                raise ForecastError(
                    f"ForecastSettings.{name} = {value}: must be from {least} to 10,000,000"
                )
