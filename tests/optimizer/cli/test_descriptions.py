"""What plug-ins say of themselves, by `--describe`."""

from __future__ import annotations

import json

import queue_models
import solvers
from optimizer.cli.exit_codes import ExitCode
from queue_models.process import OPTIONAL_FIELDS
from tests.optimizer.cli.commands import run


def test_a_queue_model_says_what_it_takes_into_account() -> None:
    """Honoured, ignored and refused fields are all there are, and the text has the assumptions."""
    done = run("queue-models", "--describe", "mm1k-state-dependent", "--json")
    account = json.loads(done.stdout)["queue_model"]
    assert sorted(account["honours"] + account["ignores"] + account["refuses"]) == sorted(
        OPTIONAL_FIELDS
    )
    assert "kv_capacity_tokens" in account["honours"]
    text = run("queue-models", "--describe", "mm1k-state-dependent").stdout
    for sentence in account["assumptions"]:
        assert sentence in text


def test_a_model_that_chooses_claims_nothing_of_its_own() -> None:
    """What `auto` refuses depends on the model that it chooses."""
    account = json.loads(run("queue-models", "--describe", "auto", "--json").stdout)
    assert account["queue_model"]["refuses"] is None


def test_a_solver_lists_its_options_with_their_defaults() -> None:
    """Features that it has and lacks, options, and what it needs installed."""
    account = json.loads(run("solvers", "--describe", "milp", "--json").stdout)["solver"]
    assert account["options"]["backend"] == "HiGHS"
    assert set(account["features"]) | set(account["lacks"]) == set(solvers.Feature)
    assert "backend = HiGHS" in run("solvers", "--describe", "milp").stdout


def test_every_registered_plug_in_can_be_described() -> None:
    """As JSON has it: nothing but plain values."""
    import dataclasses

    for model in queue_models.names():
        described = queue_models.ModelDescription.of(queue_models.get(model))
        assert json.loads(json.dumps(dataclasses.asdict(described)))["name"] == model
    for info in solvers.describe():
        if info.status == "ok":
            account = solvers.SolverDescription.of(solvers.get(info.name))
            assert json.loads(json.dumps(dataclasses.asdict(account)))["name"] == info.name


def test_plug_ins_of_every_kind_are_listed() -> None:
    """Solvers, models, tuners, forecasters, collectors and actuators; or one kind alone."""
    kinds = json.loads(run("plugins", "--json").stdout)["plugins"]
    ours = {
        "solvers": "milp",
        "queue-models": "mmc",
        "tuners": "extended-kalman",
        "forecasters": "headroom",
        "collectors": "prometheus",
        "actuators": "dry-run",
    }
    assert list(kinds) == list(ours)
    for kind, name in ours.items():
        assert name in {row["name"] for row in kinds[kind]}
    text = run("plugins", "actuators").stdout
    assert "dry-run" in text
    assert "milp" not in text


def test_an_unknown_kind_of_plug_in_is_refused() -> None:
    """The nearest is offered; exit code 2."""
    done = run("plugins", "forcasters")
    assert done.returncode == ExitCode.USAGE
    assert "did you mean 'forecasters'" in done.stderr


def test_an_unknown_plug_in_is_refused() -> None:
    """The installed ones are listed; exit code 2."""
    done = run("queue-models", "--describe", "mm2k")
    assert done.returncode == ExitCode.USAGE
    assert "unknown queue model 'mm2k'" in done.stderr
