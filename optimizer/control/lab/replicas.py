"""Replicas of one variant in the simulated fleet: starting, serving, on their way out."""

from __future__ import annotations

from dataclasses import dataclass, field

from optimizer.control.spec import ReplicaCount, Variant

__all__ = ["Starting", "VariantReplicas"]


@dataclass(frozen=True, slots=True)
class Starting:
    """How new replicas come up.

    Parameters
    ----------
    possible
        Whether they do.
    lasting
        Whether they stay up; otherwise they die as soon as they serve, and start anew.
    slowness
        How many times longer than usual it takes.
    """

    possible: bool = True
    lasting: bool = True
    slowness: float = 1.0


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
    _unstable: list[float] = field(default_factory=list)

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

    def advance(self, now_s: float, how: Starting) -> None:
        """Let time pass."""
        self.gone_at_s = [time for time in self.gone_at_s if time > now_s]
        # Those that crash are as old as before: a deployment keeps their pods.
        crashed = min(len(self._unstable), self.ready)
        self.ready -= crashed
        self.starting = self._unstable[:crashed] + self.starting
        self._unstable = []
        if how.possible:
            start_up_s = self.start_up_s * how.slowness
            up = [time for time in self.starting if now_s - time >= start_up_s]
            self.ready += len(up)
            self.starting = [time for time in self.starting if now_s - time < start_up_s]
            self._unstable = [] if how.lasting else up
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
