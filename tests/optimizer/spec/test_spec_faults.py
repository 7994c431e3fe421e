"""Each way to get a fleet wrong is reported with its place, what came, and what to try."""

from __future__ import annotations

import pytest

from optimizer.spec import loads

from .documents import VALID, changed, faults_of

RATE = "arrival_rate_rps: 4,"
LOAD = "services[0].load"
AT_RATE = f"{LOAD}.arrival_rate_rps"
BATCH = "max_batch: {min: 8, max: 64}"
ITL = "{metric: itl_ms, bound: 30}"
TARGET = "classes[0].slos[0].targets[1]"
POWER = "idle_w: 90, full_w: 350, mid_w: 250, mid_utilization: 0.6"
PAIR = "- model: llama-70b\n    accelerator: 4xH100"
STRICT = "priorities: strict"
END = "# end of the document"

# What is replaced, by what, and the fault it must bring: path, value, a part of what it says, and
# a text that stands on the line it names (by default the replacement).
# fmt: off
KINDS = [
    ("text for a number", RATE, "arrival_rate_rps: fast,", AT_RATE, "'fast'",
     "must be a number (requests/s), not a text"),
    ("number in quotes", RATE, "arrival_rate_rps: '5',", AT_RATE, "'5'", "drop the quotes: 5"),
    ("number with unit", RATE, "arrival_rate_rps: 5rps,", AT_RATE, "'5rps'", "the number alone"),
    ("number with separators", RATE, "arrival_rate_rps: 1_000,", AT_RATE, "'1_000'", "no separ"),
    ("list for a number", RATE, "arrival_rate_rps: [1, 2],", AT_RATE, "a list of 2", "not a list"),
    ("mapping for a number", RATE, "arrival_rate_rps: {per: 1},", AT_RATE, "a mapping (per)",
     "not a mapping"),
    ("nothing for a number", RATE, "arrival_rate_rps: ,", AT_RATE, "null", "not empty: give a"),
    ("true for a number", RATE, "arrival_rate_rps: true,", AT_RATE, "true", "must be a number"),
    ("yes is a text", RATE, "arrival_rate_rps: yes,", AT_RATE, "'yes'", "not a text"),
    ("timestamp is a text", RATE, "arrival_rate_rps: 2024-01-01,", AT_RATE, "'2024-01-01'",
     "not a text"),
    ("fraction for a count", "cards: 4", "cards: 4.5", "accelerators[1].cards", "4.5",
     "must be a whole number"),
    ("point in a count", "max_batch: 128", "max_batch: 128.0", "performance[1].max_batch", "128.0",
     "must be a whole number: write 128, without point"),
    ("number for a name", "name: llama-70b", "name: 70", "models[1].name", "70",
     "must be a text, not a number: put it in quotes"),
    ("no for a switch", STRICT, "delayed_best_effort: no", "optimizer.delayed_best_effort", "'no'",
     "must be true or false, not a text: write true or false"),
    ("mapping for a list", "capacities:\n  - {type: L40S, cards: 10}\n  - {", "capacities:\n    {",
     "capacities", "a mapping (type, pool, cards)", "begin each entry with '- '", "capacities:"),
    ("text for a part", "- name: batch\n    priority: 2", "- batch", "classes[1]", "'batch'",
     "must be a mapping with the keys name, priority, slos"),
    ("number for a range", "replicas: {min: 1, max: 8}", "replicas: 3", "services[0].replicas", "3",
     "must be a mapping with the keys min, max"),
    ("text for number or range", BATCH, "max_batch: '8'", "services[1].max_batch", "'8'",
     "must be a whole number, or a mapping with the keys min, max, step, not a text: drop"),
    ("list for number or range", BATCH, "max_batch: [8, 64]", "services[1].max_batch",
     "a list of 2", "must be a whole number, or a mapping with the keys min, max"),
    ("true for the version", "schema_version: 1", "schema_version: true", "schema_version", "true",
     "must be a whole number"),
]
RANGES = [
    ("negative load", RATE, "arrival_rate_rps: -5,", AT_RATE, "-5",
     "must be at least 0 (requests/s)"),
    ("load not a number", RATE, "arrival_rate_rps: .nan,", AT_RATE, "nan", "finite number (req"),
    ("infinite load", RATE, "arrival_rate_rps: -.inf,", AT_RATE, "-inf", "must be a finite number"),
    ("load beyond floats", RATE, "arrival_rate_rps: 1e999,", AT_RATE, "inf", "a finite number"),
    ("whole number beyond floats", RATE, f"arrival_rate_rps: 1{'0' * 350},", AT_RATE,
     "a whole number of 1163 bits", "must be a finite number"),
    ("no output", "output_tokens: 128", "output_tokens: 0", f"{LOAD}.output_tokens", "0",
     "must be at least 1 (tokens)"),
    ("no input", "input_tokens: 512", "input_tokens: 0", f"{LOAD}.input_tokens", "0",
     "must be greater than 0 (tokens) where requests arrive"),
    ("negative price", "cost_per_hour: 10.0", "cost_per_hour: -1", "accelerators[1].cost_per_hour",
     "-1", "must be at least 0"),
    ("no cards", "cards: 4", "cards: 0", "accelerators[1].cards", "0", "must be at least 1"),
    ("no memory", "memory_gb: 48", "memory_gb: 0", "accelerators[0].memory_gb", "0",
     "must be greater than 0 (GB = 1e9 bytes)"),
    ("negative capacity", "{type: L40S, cards: 10}", "{type: L40S, cards: -1}",
     "capacities[0].cards", "-1", "must be at least 0"),
    ("no batch", "max_batch: 128", "max_batch: 0", "performance[1].max_batch", "0", "at least 1"),
    ("no batch of a service", BATCH, "max_batch: 0", "services[1].max_batch", "0", "at least 1"),
    ("huge batch of a service", BATCH, "max_batch: 100000", "services[1].max_batch", "100000",
     "must be at most 65536"),
    ("no batch in a range", BATCH, "max_batch: {min: 0, max: 9}", "services[1].max_batch.min", "0",
     "must be at least 1"),
    ("no iteration time", "base_ms: 8.0", "base_ms: 0", "performance[0].iteration.base_ms", "0",
     "must be greater than 0 (ms)"),
    ("bound of zero", ITL, "{metric: itl_ms, bound: 0}", f"{TARGET}.bound", "0", "least 1e-06"),
    ("priority of zero", "priority: 2", "priority: 0", "classes[1].priority", "0", "at least 1"),
    ("gap of one", STRICT, "relative_gap: 1", "optimizer.relative_gap", "1", "less than 1"),
    ("negative seed", STRICT, "seed: -1", "optimizer.seed", "-1", "must be at least 0"),
    ("later version", "schema_version: 1", "schema_version: 2", "schema_version", "2", "at most 1"),
    ("middle utilisation of 1", "mid_utilization: 0.6", "mid_utilization: 1",
     "accelerators[0].power.mid_utilization", "1", "must be less than 1"),
    ("empty name", "name: chat", "name: ''", "services[0].name", "''", "must not be empty"),
    ("long name", "name: chat", f"name: {'x' * 201}", "services[0].name", None,
     "must have at most 200 characters, not 201"),
    ("name on two lines", "name: chat", 'name: "a\\nb"', "services[0].name", r"'a\nb'", "one line"),
    ("unknown metric", ITL, "{metric: itl, bound: 30}", f"{TARGET}.metric", "'itl'",
     "must be one of ttft_ms, itl_ms, tpot_ms"),
    ("near metric", ITL, "{metric: tttf_ms, bound: 30}", f"{TARGET}.metric", "'tttf_ms'",
     "did you mean 'ttft_ms'?"),
    ("capital percentile", "statistic: p95", "statistic: P95", "classes[0].slos[0].targets[0]"
     ".statistic", "'P95'", "must be mean, or a percentile from p1 to p99.9999: write it as p95"),
    ("percentile as number", "statistic: p95", "statistic: 95", "classes[0].slos[0].targets[0]"
     ".statistic", "95", "write it as p95"),
    ("unknown option", STRICT, "objective: costs", "optimizer.objective", "'costs'",
     "lexicographic, inferno-value: did you mean 'cost'?"),
    ("small currency", "name: test fleet", "currency: usd", "currency", "'usd'", "three capitals"),
]
KEYS = [
    ("unknown key", "pool: eu\n    cards", "rack: eu\n    cards", "accelerators[1].rack", None,
     "unknown key 'rack': known here: name, catalog, type, pool"),
    ("misspelt key", "weights_gb: 16.1", "weight_gb: 16.1", "models[0].weight_gb", None,
     "unknown key 'weight_gb': did you mean 'weights_gb'? known here: name, catalog"),
    ("shortened key", "idle_w: 90", "idle: 90", "accelerators[0].power.idle", None,
     "did you mean 'idle_w'?"),
    ("key of another part", "priority: 2", "priority: 2\n    arrival_rate_rps: 3",
     "classes[1].arrival_rate_rps", None, "it belongs to services[].load", "arrival_rate_rps: 3"),
    ("name of the field for its key", "class: premium", "service_class: premium",
     "services[0].service_class", None, "unknown key 'service_class': did you mean 'class'?"),
    ("missing key", "    class: batch\n", "", "services[1].class", None,
     "is missing: give class, as in `classes[].name`", "- name: summaries"),
    ("missing section", "services:\n", "servces:\n", "services", None, "is missing", "schema_vers"),
    ("missing maximum of a range", BATCH, "max_batch: {min: 8}", "services[1].max_batch.max", None,
     "is missing: give largest maximum batch"),
    ("key twice", "class: premium", "class: premium\n    class: premium", "services[0].class", None,
     "the key stands twice, on lines 48 and 49", "class: premium\n    load"),
    ("key twice on a line", RATE, f"{RATE} {RATE}", AT_RATE, None, "the key stands twice on line"),
    ("section twice", "optimizer:", "classes: []\noptimizer:", "classes", None,
     "the key stands twice, on lines 33 and 61"),
    ("number as key", RATE, f"{RATE} 7: 8,", LOAD, None, "the key 7 is not a text: put it in"),
    ("null as key", "priority: 2", "priority: 2\n    : x", "classes[1]", None, "the key null is",
     "    : x"),
]
NAMES = [
    ("model of performance", "model: llama-8b\n    acc", "model: llama-8\n    acc",
     "performance[0].model", "'llama-8'", "there is no such model: did you mean 'llama-8b'?"),
    ("accelerator of performance", "accelerator: L40S\n    max", "accelerator: l40s\n    max",
     "performance[0].accelerator", "'l40s'", "no such accelerator: did you mean 'L40S'?"),
    ("model of a service", "model: llama-8b\n    class", "model: mistral\n    class",
     "services[0].model", "'mistral'", "there is no such model: models: llama-8b, llama-70b"),
    ("class of a service", "class: premium", "class: premum", "services[0].class", "'premum'",
     "there is no such class: did you mean 'premium'? classes: premium, batch"),
    ("pinned accelerator", "accelerator: L40S\n  - name", "accelerator: L4\n  - name",
     "services[0].accelerator", "'L4'", "no such accelerator: did you mean 'L40S'?"),
    ("current accelerator", "current: {accelerator: 4xH100", "current: {accelerator: 8xH100",
     "services[1].current.accelerator", "'8xH100'", "did you mean '4xH100'?"),
    ("model of an SLO", "- model: llama-70b\n        targets", "- model: lama\n        targets",
     "classes[0].slos[0].model", "'lama'", "there is no such model"),
    ("type of a capacity", "{type: L40S", "{type: L40", "capacities[0].type", "'L40'",
     "no accelerator uses cards of this type: did you mean 'L40S'?"),
    ("pool of a capacity", "pool: eu, cards", "pool: us, cards", "capacities[1].pool", "'us'",
     "no accelerator with cards of type 'H100' is in this pool: pools of 'H100': eu"),
    ("catalogued accelerator", "- name: L40S", "- name: L40S\n    catalog: L40X",
     "accelerators[0].catalog", "'L40X'", "the catalogue has no such entry: did you mean 'L40S'?",
     "catalog: L40X"),
    ("catalogued model", "- name: llama-70b", "- name: llama-70b\n    catalog: meta/llama",
     "models[1].catalog", "'meta/llama'", "the catalogue has no such entry", "catalog: meta"),
    ("two models of one name", "- name: llama-70b\nperf", "- name: llama-70b\n"
     "  - name: llama-8b\nperf", "models[2].name", "'llama-8b'",
     "another model has this name: models[0]: keep one of them", "- name: llama-8b\nperf"),
    ("two services of one name", "- name: summaries", "- name: chat", "services[1].name", "'chat'",
     "another service has this name: services[0]", "- name: chat\n    model: llama-70b"),
    ("two capacities of one type", "{type: H100, pool: eu, cards: 16}", "{type: L40S, cards: 3}",
     "capacities[1].type", "'L40S'", "another capacity is for this type and place: capacities[0]"),
    ("two timings of one pair", PAIR, f"{PAIR}\n    max_batch: 8\n    iteration: {{base_ms: 1, "
     f"decode_ms_per_token: 0, prefill_ms_per_token: 0}}\n  {PAIR}", "performance[2].accelerator",
     "'4xH100'", "on this accelerator in the same configuration: performance[1]: keep",
     "accelerator: 4xH100\n    max_batch: 128"),
    ("two general SLOs", "- targets:\n          - {metric: ttft_ms, bound: 500}",
     "- targets: []\n      - targets: []", "classes[0].slos[2].model", None, "another entry of the",
     "- targets: []\n  - name"),
]
NEEDS = [
    ("idle above full power", "full_w: 350", "full_w: 50", "accelerators[0].power.idle_w", "90",
     "must be at most full_w = 50 (W)"),
    ("middle power out of range", "mid_w: 250", "mid_w: 400", "accelerators[0].power.mid_w", "400",
     "must be between idle_w = 90 and full_w = 350 (W)"),
    ("middle power without place", ", mid_utilization: 0.6", "",
     "accelerators[0].power.mid_utilization", None, "is missing: give the utilisation", "idle_w"),
    ("middle place without power", ", mid_w: 250", "", "accelerators[0].power.mid_w", None,
     "is missing: give the power at mid_utilization", "idle_w"),
    ("no price", "    cost_per_hour: 10.0\n", "", "accelerators[1].cost_per_hour", None,
     "is missing: give the price of one instance in USD per hour", "- name: 4xH100"),
    ("no price, but a catalogue", "    cost_per_hour: 1.2\n", "", "accelerators[0].cost_per_hour",
     None, "or add catalog: L40S", "- name: L40S"),
    ("price in another currency", "accelerators:\n  - name: L40S\n    cost_per_hour: 1.2",
     "currency: EUR\naccelerators:\n  - name: L40S\n    catalog: L40S",
     "accelerators[0].cost_per_hour", None, "the catalogue's price is in USD", "- name: L40S"),
    ("catalogue without price", "    cost_per_hour: 1.2\n", "    catalog: H20\n",
     "accelerators[0].cost_per_hour", None, "the catalogue has no price for 'H20'", "- name: L40S"),
    ("no timing", "    iteration: {base_ms: 8.0, decode_ms_per_token: 0.1, "
     "prefill_ms_per_token: 0.02}\n", "", "performance[0]", None,
     "has no timing: give iteration: {base_ms", "model: llama-8b"),
    ("no performance data", "performance:\n  - model: llama-8b", "performance:\n"
     "  - model: llama-1b", "performance", None,
     "no entry for model 'llama-8b' on any accelerator; needed by service 'chat': add {model:"),
    ("no performance data where pinned", "accelerator: L40S\n  - name", "accelerator: 4xH100\n"
     "  - name", "services[0].accelerator", "'4xH100'", "no performance entry for model 'llama-8b' "
     "on this accelerator: add one, or pin it to one that has: L40S"),
    ("replicas the wrong way round", "{min: 1, max: 8}", "{min: 9, max: 8}",
     "services[0].replicas.min", "9", "must be at most max = 8: swap the two?"),
    ("no replicas by default", "{min: 1, max: 8}", "{max: 0}", "services[0].replicas.max", "0",
     "must be at least min, which is 1 by default"),
    ("batches the wrong way round", BATCH, "max_batch: {min: 80, max: 64}",
     "services[1].max_batch.min", "80", "must be at most max = 64"),
    ("current replicas nowhere", "current: {accelerator: 4xH100, replicas: 2}",
     "current: {replicas: 2}", "services[1].current.accelerator", None, "is missing: say which"),
    ("percentile of a service's rate", ITL,
     "{metric: service_tokens_per_s, statistic: p95, bound: 30}", f"{TARGET}.statistic", "'p95'",
     "service_tokens_per_s is a rate of the whole service, which has no percentiles"),
    ("two bounds of one kind", ITL, "{metric: ttft_ms, statistic: p95, bound: 30}",
     f"{TARGET}.metric", "'ttft_ms'", "bounded twice: also by classes[0].slos[0].targets[0]"),
    ("no objective for the model", "      - targets:\n          - {metric: ttft_ms, bound: 500}\n",
     "", "services[0].class", "'premium'", "has SLOs, but none for model 'llama-8b'",
     "class: premium"),
    ("empty services", VALID[VALID.index("services:"):VALID.index("optimizer:")], "services: []\n",
     "services", "an empty list", "must have at least one service"),
]
SYNTAX = [
    ("tab", "    class: premium\n", "\tclass: premium\n", "", None, "spaces instead of tabs"),
    ("colon in a text", "name: test fleet", "name: test: fleet", "", None, "needs quotes"),
    ("open bracket", "{min: 1, max: 8}", "{min: 1, max: 8", "", None, "is no YAML at column",
     "    accelerator: L40S\n  - name"),
    ("open quote", STRICT, 'solver: "auto', "", None, "quote or bracket missing", END),
    ("at sign", "name: test fleet", "name: @test", "", None, "'@' that cannot start any token"),
    ("uneven indentation", "    priority: 2\n", "   priority: 2\n", "", None, "the same column"),
    ("second document", "services:", "---\nservices:", "", None, "a second document begins here"),
    ("other version of YAML", "schema_version: 1", "%YAML 1.1\n---\nschema_version: 1", "", None,
     "declares YAML 1.1: must be YAML 1.2", "---"),
    ("control character", "test fleet", "test\x07fleet", "", None, "the character U+0007"),
    ("template", RATE, "arrival_rate_rps: {{ rate }},", "", None, "braces of a template"),
    ("deep nesting", "test fleet", "[" * 70, "", None, "is nested more than 64 levels deep"),
    ("python tag", RATE, "arrival_rate_rps: !!python/object:os.system 4,", AT_RATE, None,
     "the tag !!python/object:os.system is not allowed"),
    ("own tag", "replicas: {", "replicas: !range {", "services[0].replicas", None, "tag !range is"),
    ("false tag", RATE, "arrival_rate_rps: !!int fast,", AT_RATE, None,
     "not what its tag !!int says"),
    ("unknown alias", RATE, "arrival_rate_rps: *rate,", AT_RATE, None, "*rate refers to no anchor"),
    ("cyclic reference", "load: {arr", "load: &load {input_tokens_scv: *load, arr",
     f"{LOAD}.input_tokens_scv", None, "contains it, begun on line 49: a cyclic reference"),
    ("merge of a number", "load: {", "load: {<<: 3, ", f"{LOAD}['<<']", None, "must be an alias"),
]
# fmt: on
CASES = KINDS + RANGES + KEYS + NAMES + NEEDS + SYNTAX


def test_the_document_that_is_spoilt_is_valid() -> None:
    """Every fault below comes from its replacement alone."""
    assert len(loads(VALID).services) == 2


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_each_fault_names_place_value_and_remedy(case: tuple[str, ...]) -> None:
    """The fault is reported with path, line, value and what to try, and nothing else is raised."""
    _, old, new, path, value, says, *at = case
    text = changed((old, new)) + END
    start = text.index(at[0] if at else new)
    line = text.count("\n", 0, start) + 1
    faults = [fault for fault in faults_of(text) if fault.path == path and says in str(fault)]
    assert faults, f"not among: {[str(fault) for fault in faults_of(text)]}"
    assert faults[0].line == line
    assert str(faults[0]).startswith(f"fleet.yaml:{line}: ")
    if value is not None:
        assert faults[0].value == value
        assert f"{path} = {value}: " in str(faults[0])


def test_the_table_is_long_enough() -> None:
    """At least 100 different faults are in the table, no two under one name."""
    assert len({case[0] for case in CASES}) == len(CASES) >= 100
