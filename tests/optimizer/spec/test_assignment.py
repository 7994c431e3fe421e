"""Changes written as text: what they mean, what they refuse, and that they check the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.errors import SpecError
from optimizer.spec import FleetSpec, assigned, load, parse_assignment, parse_range

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "fleet.yaml"


@pytest.fixture(scope="module")
def example() -> FleetSpec:
    return load(EXAMPLE)


def changed(fleet: FleetSpec, *texts: str) -> FleetSpec:
    return assigned(fleet, [parse_assignment(text) for text in texts])


def test_an_entry_is_named_by_name_position_members_or_all(example: FleetSpec) -> None:
    """The same load is set four ways."""
    for path in (
        "services[chat-premium]",
        "services[0]",
        "services['chat-premium']",
        "services[name=chat-premium, class=premium]",
    ):
        fleet = changed(example, f"{path}.load.arrival_rate_rps = 7")
        assert fleet.services[0].load.arrival_rate_rps == 7
        assert fleet.services[1:] == example.services[1:]
    everyone = changed(example, "services[*].load.arrival_rate_rps *= 2")
    assert [s.load.arrival_rate_rps for s in everyone.services] == [
        2 * s.load.arrival_rate_rps for s in example.services
    ]


def test_capacities_are_known_by_their_type_and_targets_by_their_metric(example: FleetSpec) -> None:
    """Entries without a name go by what tells them apart; a bracket may mean several."""
    fleet = changed(
        example, "capacities[H100].cards += 3", "classes[premium].slos[1].targets[ttft_ms].bound=9"
    )
    assert next(c for c in fleet.capacities if c.type == "H100").cards == 11
    premium = next(c for c in fleet.classes if c.name == "premium")
    assert [t.bound for t in premium.slos[1].targets] == [9, 9, 30]


def test_counts_stay_whole_and_rates_do_not(example: FleetSpec) -> None:
    """0.3 of 8 cards are 2 cards; 0.3 of 2.5 requests/s are 0.75."""
    fleet = changed(
        example, "capacities[H100].cards *= 0.3", "services[0].load.arrival_rate_rps *= 0.3"
    )
    assert next(c for c in fleet.capacities if c.type == "H100").cards == 2
    assert fleet.services[0].load.arrival_rate_rps == pytest.approx(0.75)


def test_parts_are_made_and_removed(example: FleetSpec) -> None:
    """A key that stands at its default may be given a value, a mapping, or null."""
    fleet = changed(
        example, "services[0].max_batch={min: 4, max: 16}", "services[0].replicas.max=null"
    )
    assert fleet.services[0].max_batch.model_dump(exclude_none=True) == {"min": 4, "max": 16}
    assert fleet.services[0].replicas.max is None


def test_the_original_stays(example: FleetSpec) -> None:
    """Fleets are values."""
    before = example.model_copy(deep=True)
    changed(example, "services[*].load.arrival_rate_rps=1", "capacities[L4].cards=0")
    assert example == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must begin with a key"),
        ("=3", "must begin with a key"),
        ("services", "must be PATH=VALUE"),
        ("services[0].load", "must be PATH=VALUE"),
        ("services[0]..load=3", "must be PATH=VALUE"),
        ("services=", "there is no value"),
        ("services[]=3", "names no entry"),
        ("servces[0].model=x", "did you mean 'services'"),
        ("services[chat-prem].model=x", "did you mean 'chat-premium'"),
        ("services[99].model=x", "no entry is [99] among 9"),
        ("services[model=none].model=x", "no entry is [model=none]"),
        ("services.load=2", "name an entry in brackets"),
        ("name[0]=x", "wants a list"),
        ("services[0].load.arrival_rate=2", "did you mean 'arrival_rate_rps'"),
        ("services[0].model*=2", "wants a number there, not a text"),
        ("services[0].load.arrival_rate_rps*=two", "wants a finite number, not a text"),
        ("services[0].load.arrival_rate_rps*=.inf", "wants a finite number"),
        ("services[0].load.arrival_rate_rps=.nan", "must be a finite number"),
        ("services[0].load.arrival_rate_rps=-1", "must be at least 0"),
        ("services[0].model=gpt-9", "gpt-9"),
        ("optimizer.priorities=weighted", "unserved_penalty_per_hour"),
        ("services[0].load.arrival_rate_rps=[1", "--set"),
    ],
)
def test_what_cannot_be_done_says_why(example: FleetSpec, text: str, words: str) -> None:
    """Each message names the change and what is wrong with it."""
    with pytest.raises(SpecError) as refused:
        changed(example, text)
    assert words in str(refused.value)


def test_faults_of_the_result_come_all_together(example: FleetSpec) -> None:
    """Nine services with a negative load are nine faults."""
    with pytest.raises(SpecError) as refused:
        changed(example, "services[*].load.arrival_rate_rps=-1")
    assert len(refused.value.faults) == len(example.services)


def test_ranges_are_evenly_spaced_with_both_ends() -> None:
    """Differences are equal, or with :log ratios; decimals are as they would be written."""
    assert [a.value for a in parse_range("a.b=0:1:5")] == [0, 0.25, 0.5, 0.75, 1]
    assert [a.value for a in parse_range("a.b*=1:1000:4:log")] == [1, 10, 100, 1000]
    assert [a.value for a in parse_range("a.b=0.1:0.3:3")] == [0.1, 0.2, 0.3]
    assert [a.value for a in parse_range("a.b=[x, 2, null]")] == ["x", 2, None]
    assert [a.value for a in parse_range("a.b=5:9:1")] == [5]


@pytest.mark.parametrize(
    "text",
    ["a=1", "a=1:2", "a=1:2:0", "a=1:2:x", "a=[]", "a=1:2:3:4", "a=1:2:3:log:5", "a=0:2:3:log",
     "a=1:.inf:3", "a=1:nan:3", "a=1:2:10001"],
)  # fmt: skip
def test_ranges_that_are_none_are_refused(text: str) -> None:
    """The message holds what came."""
    with pytest.raises(SpecError) as refused:
        parse_range(text)
    assert text in str(refused.value)
