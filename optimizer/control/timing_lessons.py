"""What a batch of observations teaches of a variant's timing."""

from __future__ import annotations

from optimizer.control.errors import ControlError
from optimizer.control.spec import TuneAnswer, TuneRequest
from optimizer.performance.tuner import ServingObservation, TunedReplica, get
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["learnt_from"]

_TUNER = "extended-kalman"


def learnt_from(fleet: FleetSpec, asked: TuneRequest) -> TuneAnswer:
    """Return what is learnt from observations of replicas of one variant, from nothing.

    Raises
    ------
    ControlError
        If the fleet has no performance data of the variant.
    """
    variant = asked.variant
    models = {service.name: service.model for service in fleet.services}
    key = (models.get(variant.service), variant.accelerator, variant.configuration)
    entry = next(
        (p for p in fleet.performance if (p.model, p.accelerator, p.configuration) == key), None
    )
    if entry is None:
        raise ControlError(f"the fleet has no performance data of {variant}")
    replica = TunedReplica(
        max_batch=variant.max_batch or entry.max_batch or 1,
        queue_model=fleet.optimizer.queue_model,
        chunk_tokens=entry.chunk_tokens or TunedReplica(max_batch=1).chunk_tokens,
        kv_capacity_tokens=entry.kv_capacity_tokens,
    )
    tuner = get(_TUNER)(replica)
    rejected = []
    for place, window in enumerate(asked.observations):
        update = tuner.update(ServingObservation(time_s=float(place), **window.model_dump()))
        if not update.accepted:
            rejected.append(f"observations[{place}]: {update.reason}")
    learnt = tuner.learnt
    return TuneAnswer(
        variant=variant,
        tuner=_TUNER,
        parameters={} if learnt is None else learnt.parameters,
        prediction_log_sd=None if learnt is None else learnt.prediction_log_sd,
        accepted=0 if learnt is None else learnt.accepted,
        rejected=tuple(rejected),
    )
