"""A controller made of its configuration file, which goes on when the fleet's file changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from optimizer.control import actuators, collectors
from optimizer.control.actuators.shadow import ShadowActuator
from optimizer.control.controller import Controller, Cycle
from optimizer.control.journal import FileJournal
from optimizer.control.spec import ControlSpec, load_control
from optimizer.errors import FleetError
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.loading import load
from optimizer.spec.slo_application import with_slo_sheet
from optimizer.spec.slo_loading import load_slo

__all__ = ["ConfiguredControl", "fleet_of_control"]

# So soon a file that has changed is noticed [s].
_NOTICED_S = 1.0


def fleet_of_control(spec: ControlSpec, folder: Path, slo: str | None = None) -> FleetSpec:
    """Return the fleet of a control configuration, held to its SLO sheet.

    Parameters
    ----------
    spec
        The configuration.
    folder
        Where its relative paths begin.
    slo
        SLO sheet in place of the configuration's own.

    Raises
    ------
    SpecError
        If the fleet or the sheet is not valid.
    """
    fleet = load(folder / spec.fleet)
    sheet = slo if slo is not None else None if spec.slo is None else str(folder / spec.slo)
    return fleet if sheet is None else with_slo_sheet(fleet, load_slo(sheet))


class ConfiguredControl:
    """A controller with its files.

    Parameters
    ----------
    path
        The configuration.
    slo
        SLO sheet in place of the configuration's own.
    dry_run
        Whether replicas are counted and never changed; decisions are then not written down either.

    Raises
    ------
    FleetError
        If a file is not valid, or a plug-in is unknown or refuses its options.
    """

    def __init__(self, path: Path, *, slo: str | None = None, dry_run: bool = False) -> None:
        self.spec = load_control(path)
        folder = path.parent
        self._slo = slo
        self._folder = folder
        self._watched = [folder / self.spec.fleet]
        if slo is not None or self.spec.slo is not None:
            self._watched.append(Path(slo) if slo is not None else folder / str(self.spec.slo))
        self._stamps = self._look()
        fleet = fleet_of_control(self.spec, folder, slo)
        collector = collectors.get(self.spec.collector.name)(fleet, self.spec.collector.options)
        chosen = actuators.get(self.spec.actuator.name)
        actuator = chosen(fleet, folder, self.spec.actuator.options)
        if dry_run:
            actuator = ShadowActuator(actuator)
        journal = None
        if self.spec.state is not None and not dry_run:
            journal = FileJournal(folder / self.spec.state)
        self._approvals = None if self.spec.state is None else folder / f"{self.spec.state}.approve"
        self.controller = Controller(fleet, self.spec, collector, actuator, journal)

    def step(self, now_s: float) -> Cycle:
        """Take in what changed in the files, then do a step of the controller."""
        self._reload(now_s)
        self._approve(now_s)
        return self.controller.step(now_s)

    def run(
        self,
        now_s: Callable[[], float],
        wait: Callable[[float], bool],
        told: Callable[[Cycle], None],
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        """Go on until somebody says that it is enough; files that change are noticed at once.

        Parameters
        ----------
        now_s
            The clock [s].
        wait
            Waits so many seconds; returns whether to stop.
        told
            Called with every cycle.
        turn
            Held during every step, where others have the controller do something, too.
        """
        while True:
            begun_s = now_s()
            with turn or nullcontext():
                told(self.step(begun_s))
            while True:
                left_s = max(begun_s + self.spec.observe_s - now_s(), 0.0)
                if wait(min(left_s, _NOTICED_S)):
                    return
                if left_s <= _NOTICED_S or self._something_new():
                    break

    def close(self) -> None:
        """Give back what collector and actuator hold."""
        self.controller.collector.close()
        self.controller.actuator.close()

    def _something_new(self) -> bool:
        """Whether a file has changed that the next step will read."""
        approved = self._approvals is not None and self._approvals.exists()
        return approved or self._look() != self._stamps

    def _look(self) -> list[tuple[int, int] | None]:
        """Return size and time of change of every file that is watched."""
        found: list[tuple[int, int] | None] = []
        for path in self._watched:
            try:
                status = os.stat(path)
                found.append((status.st_mtime_ns, status.st_size))
            except OSError:
                found.append(None)
        return found

    def _reload(self, now_s: float) -> None:
        """Go on with a changed fleet; with the one before where the new one is not valid."""
        stamps = self._look()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        try:
            self.controller.adopt(fleet_of_control(self.spec, self._folder, self._slo))
        except FleetError as error:
            self.controller.tell_configuration(now_s, str(error))
        else:
            self.controller.tell_configuration(now_s, "")

    def _approve(self, now_s: float) -> None:
        """Take an approval out of its file, if there is one."""
        if self._approvals is None:
            return
        try:
            digest = self._approvals.read_text(encoding="utf-8")
            self._approvals.unlink()
        except (OSError, UnicodeDecodeError):
            return
        self.controller.approve(now_s, digest)
