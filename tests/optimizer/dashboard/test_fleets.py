"""Fleets in the dashboard: loaded, refused with every fault, and their figures."""

from __future__ import annotations

from typing import Any

import pytest

from optimizer.spec import load, loads
from optimizer.spec.assignment import assigned, parse_assignment
from tests.optimizer.dashboard.conftest import REPOSITORY, SMALL, ended


def test_every_fault_is_told_with_its_line(client: Any) -> None:
    """All at once, so that a person mends them in one go."""
    text = SMALL.read_text(encoding="utf-8")
    text = text.replace("arrival_rate_rps:", "arrival_rate:", 1).replace(
        "priority: 1", "priority: 0"
    )
    answer = client.post("/api/fleets", json={"text": text, "name": "mine.yaml"})
    assert answer.status_code == 422
    faults = answer.json()["faults"]
    assert len(faults) >= 2
    assert all(fault["line"] and "mine.yaml" in fault["text"] for fault in faults)
    assert any("did you mean" in fault["text"] for fault in faults)


@pytest.mark.parametrize("text", ["", "[]", "nan", "{", "a: &a [*a]", "\x00", "name: x"])
def test_what_is_no_fleet_is_refused_in_words(client: Any, text: str) -> None:
    """Empty, another shape, broken YAML: a fault, never an internal error."""
    answer = client.post("/api/fleets", json={"text": text})
    assert answer.status_code == 422
    assert answer.json()["faults"][0]["text"]


def test_a_text_that_unfolds_into_more_than_there_is_is_refused(client: Any) -> None:
    """Aliases of aliases of aliases: a fault, at once."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    answer = client.post("/api/fleets", json={"text": "\n".join(lines)})
    assert answer.status_code == 422
    assert len(answer.content) < 100_000


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"text": 5}', b'{"text": "x", "path": "/etc/passwd"}', b'{"text": NaN}'],
)
def test_a_body_of_another_shape_is_refused(client: Any, body: bytes) -> None:
    """With status 400, naming what is wrong."""
    headers = {"content-type": "application/json"}
    answer = client.post("/api/fleets", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["faults"][0]["text"]


def test_a_fleet_from_a_browser_opens_no_file(client: Any, fleet: str) -> None:
    """A model's `config` names a file: it is refused in a text, and in a change."""
    text = SMALL.read_text(encoding="utf-8")
    name = load(SMALL).models[0].name
    with_file = text.replace("models:", "models:\n  - {name: other, config: /etc/hostname}", 1)
    answer = client.post("/api/fleets", json={"text": with_file})
    assert answer.status_code == 422
    assert "files are not opened" in answer.text
    change = f"models[{name}]={{name: {name}, config: /etc/hostname}}"
    answer = client.post("/api/solves", json={"fleet": fleet, "changes": [change]})
    assert answer.status_code == 422
    assert "files are not opened" in answer.text


def test_uncertain_loads_give_way_and_it_is_said(client: Any) -> None:
    """The page is for one load: the change stands in the command line, the note on the page."""
    text = SMALL.read_text(encoding="utf-8")
    text += "\nuncertainty:\n  scenarios: [{name: busy, factor: 2}]\n"
    document = client.post("/api/fleets", json={"text": text}).json()
    assert any("Uncertain loads" in note for note in document["notes"])
    job = client.post("/api/solves", json={"fleet": document["id"]}).json()["job"]
    result = ended(client, job)["result"]
    assert result["changes"] == ["uncertainty=null"]
    assert "--set uncertainty=null" in result["command"]
    assert result["file_to_save"] == "fleet.yaml"


@pytest.mark.parametrize("folder", ["control", "."])
def test_every_figure_can_be_moved_where_it_says(folder: str) -> None:
    """Its path leads to its value, and another value is a valid fleet."""
    from optimizer.dashboard.controls import controls_of

    spec = load(REPOSITORY / "examples" / folder / "fleet.yaml")
    controls = controls_of(spec)
    assert {control.group for control in controls} == {"loads", "objectives", "prices", "quotas"}
    for control in controls:
        moved = control.value + 1
        changed = assigned(spec, [parse_assignment(f"{control.path}={moved:g}")])
        again = {c.path: c.value for c in controls_of(changed)}
        assert again[control.path] == pytest.approx(moved)
        assert control.unit


def test_all_figures_of_a_group_have_a_path_where_it_fits() -> None:
    """Not where a price is the catalogue's or a tier's: `*` would miss it, or find nothing."""
    from optimizer.dashboard.controls import controls_of, wildcards_of

    spec = load(SMALL)
    assert set(wildcards_of(spec)) == {"loads", "prices"}
    unwritten = assigned(spec, [parse_assignment("accelerators[A100].cost_per_hour=null")])
    assert set(wildcards_of(unwritten)) == {"loads"}
    prices = {c.label: c for c in controls_of(unwritten) if c.group == "prices"}
    assert prices["H100"].written
    assert not prices["A100"].written
    assert "catalogue" in prices["A100"].source
    tiers = "accelerators[A100].tiers=[{tier: spot, cost_per_hour: 1}]"
    assert set(wildcards_of(assigned(spec, [parse_assignment(tiers)]))) == {"loads"}


def test_names_that_paths_are_made_of_lead_back_to_them() -> None:
    """A service may be called what it likes."""
    from optimizer.dashboard.controls import controls_of

    text = SMALL.read_text(encoding="utf-8")
    strange = 'a]b.c=d "e" <b>'
    name = load(SMALL).services[0].name
    spec = loads(text.replace(f"name: {name}", f"name: '{strange}'", 1))
    control = next(c for c in controls_of(spec) if c.label == strange)
    changed = assigned(spec, [parse_assignment(f"{control.path}=7")])
    assert changed.services[0].load.arrival_rate_rps == 7
