"""What load is expected."""

from __future__ import annotations

from pydantic import Field

from optimizer.control.spec.document import ControlDocument
from optimizer.spec.base import Name, NonNegative, SpecModel

__all__ = ["LoadForecast", "LoadForecasts"]


class LoadForecast(SpecModel):
    """What is expected of one service, up to a horizon."""

    service: Name = Field(description="Name of the service.")
    horizon_s: NonNegative = Field(description="How far ahead [s].")
    arrival_rate_rps: NonNegative = Field(description="Expected at the horizon [requests/s].")
    upper_rate_rps: NonNegative = Field(
        description="What the rate stays below up to the horizon, at the quantile asked for."
    )
    input_tokens: NonNegative = Field(description="Mean prompt length [tokens].")
    output_tokens: NonNegative = Field(description="Mean output length [tokens].")
    method: str = Field(description="What forecast it.")


class LoadForecasts(ControlDocument):
    """Forecasts made at one time."""

    at_s: float = Field(description="When [s], on the controller's clock.")
    services: tuple[LoadForecast, ...] = Field(strict=False, description="By service.")
