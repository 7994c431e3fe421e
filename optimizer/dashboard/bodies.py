"""What the page may ask: the bodies of its requests, each figure within its range."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from optimizer.dashboard.wanted import Wanted
from optimizer.engine.emulator.api_errors import ApiError
from optimizer.fleet import ParetoMeasure

__all__ = [
    "Body",
    "CapacityBody",
    "CompareBody",
    "FleetBody",
    "FrontBody",
    "HorizonBody",
    "KvBody",
    "LabBody",
    "RepairBody",
    "SolveBody",
    "TornadoBody",
    "UncertainBody",
    "read_body",
]

B = TypeVar("B", bound="Body")

Identifier = Annotated[str, Field(max_length=64)]
Word = Annotated[str, Field(max_length=200)]
Change = Annotated[str, Field(max_length=4096)]


class Body(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)


class FleetBody(Body):
    """A fleet that was pasted, or read by the browser."""

    text: str
    name: Word = "fleet.yaml"


class OfFleet(Body):
    """Something of a fleet with changes."""

    fleet: Identifier
    changes: list[Change] = []
    solver: Word | None = None
    time_limit_s: float | None = Field(default=None, gt=0, le=3600)
    relative_gap: float | None = Field(default=None, ge=0, lt=1)
    seed: int | None = Field(default=None, ge=0)

    def wanted(self, before: tuple[str, ...]) -> Wanted:
        """Return what is wanted, after what every plan of the fleet changes."""
        given = {
            "solver": self.solver,
            "time_limit_s": self.time_limit_s,
            "relative_gap": self.relative_gap,
            "seed": self.seed,
        }
        options = {name: value for name, value in given.items() if value is not None}
        return Wanted((*before, *self.changes), options)


class SolveBody(OfFleet):
    """A plan of a changed fleet."""


class RepairBody(OfFleet):
    """What would let everyone be served."""


class HorizonBody(OfFleet):
    """The periods of a fleet, planned together."""


class UncertainBody(OfFleet):
    """A plan for all loads of a fleet whose loads are uncertain."""


class FrontBody(OfFleet):
    """Cost against a measure."""

    measure: ParetoMeasure = Field(strict=False)
    points: int = Field(default=10, ge=2, le=50)


class TornadoBody(Body):
    """What the cost of a plan hangs on."""

    plan: Identifier
    share: float = Field(default=0.2, ge=0.01, le=0.99)


class CompareBody(Body):
    """Two plans."""

    before: Identifier
    after: Identifier
    before_name: Word
    after_name: Word


class LabBody(OfFleet):
    """A run of the laboratory."""

    hours: float = Field(default=2.0, ge=0.1, le=48)
    pattern: Literal["constant", "diurnal"] = "diurnal"
    trough: float = Field(default=0.3, ge=0, le=1)
    spike: float = Field(default=2.0, ge=0, le=100)
    node_loss: float = Field(default=0.3, ge=0, le=1)
    baselines: list[Literal["static-peak", "hpa", "saturation", "greedy"]] = ["static-peak", "hpa"]
    given: bool = False


class KvBody(Body):
    """A KV cache that is kept."""

    model: Word
    device: Word
    context_tokens: float = Field(default=4096.0, ge=1, le=1e9)
    prefill_s: float = Field(default=1.0, gt=0, le=1e6)
    kv_precision: Literal["fp16", "bf16", "fp8", "int8", "int4"] = "fp16"
    minimum_ratio: float = Field(default=0.15, ge=0, le=1)


class CapacityBody(Body):
    """A model on an accelerator."""

    model: Word
    accelerator: Word
    tensor_parallel: int = Field(default=1, ge=1, le=4096)
    utilization: float = Field(default=0.9, gt=0, le=1)
    kv_dtype: Word = "auto"
    context_lengths: list[Annotated[int, Field(ge=1, le=10**8)]] = Field(
        default=[512, 1024, 2048, 4096, 8192], min_length=1, max_length=64
    )


def read_body(kind: type[B], raw: bytes) -> B:
    """Read a body.

    Raises
    ------
    ApiError
        With status 400, naming every field that is wrong.
    """
    try:
        document: Any = from_json(raw, allow_inf_nan=False)
        return kind.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        words = [f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in found[:10]]
        raise ApiError(400, "; ".join(words)) from error
    except ValueError as error:
        raise ApiError(400, f"the body is not JSON: {error}") from error
