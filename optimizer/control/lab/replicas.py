"""Replicas of one variant in the simulated fleet: starting, serving, on their way out."""

from __future__ import annotations

from dataclasses import dataclass, field

from optimizer.control.spec import ReplicaCount, Variant

__all__ = ["VariantReplicas"]


@dataclass
class VariantReplicas:
    """What a deployment does: it brings what there is to what is asked for, in its own time.

    Parameters
    ----------
    variant
        Which.
    start_up_s, stopping_s
        Time until a new replica serves, and for which one on its way out holds its cards [s].
    wanted, ready
        Replicas asked for, and those that serve.
    starting
        When each of the others began.
    gone_at_s
        When each of those on their way out is gone.
    requests
        Requests in all replicas that serve, waiting ones included.
    """

    variant: Variant
    start_up_s: float
    stopping_s: float
    wanted: int = 0
    ready: int = 0
    starting: list[float] = field(default_factory=list)
    gone_at_s: list[float] = field(default_factory=list)
    requests: float = 0.0

    def want(self, now_s: float, replicas: int) -> None:
        """Ask for a number of replicas."""
        self.wanted = replicas
        self.reconcile(now_s)

    def reconcile(self, now_s: float) -> None:
        """Start what lacks; stop the youngest that are too many, those that start first."""
        lacking = self.wanted - self.ready - len(self.starting)
        self.starting.extend([now_s] * max(lacking, 0))
        surplus = max(-lacking, 0)
        dropped = min(surplus, len(self.starting))
        if dropped:
            del self.starting[-dropped:]
        stopped = surplus - dropped
        self.ready -= stopped
        # A replica that only starts is gone as fast as one that serves: its cards are held as long.
        self.gone_at_s.extend([now_s + self.stopping_s] * surplus)

    def advance(self, now_s: float, *, may_start: bool) -> None:
        """Let time pass."""
        self.gone_at_s = [time for time in self.gone_at_s if time > now_s]
        if may_start:
            up = [time for time in self.starting if now_s - time >= self.start_up_s]
            self.ready += len(up)
            self.starting = [time for time in self.starting if now_s - time < self.start_up_s]
        self.reconcile(now_s)

    def lose(self, now_s: float, replicas: int) -> None:
        """Let replicas that serve die; the deployment starts others."""
        self.ready -= min(replicas, self.ready)
        self.reconcile(now_s)

    @property
    def holding(self) -> int:
        """Replicas that hold cards."""
        return self.ready + len(self.starting) + len(self.gone_at_s)

    def count(self, now_s: float) -> ReplicaCount:
        """Return what a look at the deployment shows."""
        return ReplicaCount(
            variant=self.variant,
            wanted=self.wanted,
            ready=self.ready,
            pending=len(self.starting),
            stopping=len(self.gone_at_s),
            pending_for_s=max((now_s - time for time in self.starting), default=0.0),
        )
