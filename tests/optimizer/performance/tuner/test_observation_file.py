"""Logs of other systems, as they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.performance.tuner import ServingObservation, StepObservation
from optimizer.performance.tuner.observation_file import (
    ObservationFileError,
    read_observations,
)

HEADER = "arrival_rate_rps,input_tokens,output_tokens,ttft_ms,itl_ms\n"


def only(text: str) -> ServingObservation:
    """The first observation of a text."""
    found = read_observations("log", text).replicas[0].observations[0][1]
    assert isinstance(found, ServingObservation)
    return found


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("time_s,arrival_rate_rps,input_tokens,output_tokens,ttft_ms,itl_ms", "60,2,300,50,90,12"),
        ("timestamp,rate_rpm,isl,osl,ttft_s,tpot_ms", "60,120,300,50,0.09,12"),
        ("timestamp_ms,qps,Prompt Tokens,generation_tokens,mean_ttft_ms,itl_seconds",
         "60000,2,300,50,90,0.012"),
        ("t,request_rate_rps,avg_input_tokens,avg_output_tokens,"
         "vllm:time_to_first_token_seconds,vllm:time_per_output_token_seconds",
         "1970-01-01T00:01:00,2,300,50,.09,.012"),
    ],
)  # fmt: skip
def test_names_and_units_are_those_of_the_log(header: str, row: str) -> None:
    """The same window under other names and in other units is the same observation."""
    seen = only(f"{header}\n{row}\n")
    assert seen.time_s == 60.0
    assert seen.arrival_rate_rps == pytest.approx(2.0)
    assert (seen.input_tokens, seen.output_tokens) == (300.0, 50.0)
    assert seen.ttft_ms == pytest.approx(90.0)
    assert seen.itl_ms == pytest.approx(12.0)
    assert not seen.fault


@pytest.mark.parametrize("mark", [";", "\t"])
def test_other_marks_part_cells_too(mark: str) -> None:
    """A log with semicolons or tabs is the same log."""
    text = HEADER + "2,300,50,90,12\n"
    assert only(text.replace(",", mark)) == only(text)


def test_json_lines_are_read_alike() -> None:
    """Keys may differ from line to line; null is missing; lines are counted."""
    log = read_observations(
        "log",
        '{"rps": 1, "isl": 10, "osl": 5, "ttft_ms": 9}\n\n'
        '{"rps": 2, "isl": 10, "osl": 5, "itl_ms": 3, "ttft_ms": null, "note": "x"}\n',
    )
    (first, _), (second, seen) = log.replicas[0].observations
    assert (first, second) == (1, 3)
    assert isinstance(seen, ServingObservation)
    assert seen.ttft_ms is None
    assert log.ignored == ("note",)


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "null", "N/A", "-"])
def test_a_cell_without_a_number_is_missing_not_zero(cell: str) -> None:
    """Whatever a log writes for nothing, nothing is read."""
    assert only(f"{HEADER}1,10,5,{cell},3\n").ttft_ms is None


def test_figures_of_several_replicas_are_divided() -> None:
    """Rates, requests and concurrency of a whole service become those of one replica."""
    seen = only("rps,isl,osl,ttft_ms,concurrency,requests,replicas\n8,10,5,9,40,400,4\n")
    assert (seen.arrival_rate_rps, seen.concurrency, seen.requests) == (2.0, 10.0, 100.0)
    assert seen.ttft_ms == 9.0


def test_replicas_are_told_apart_and_put_in_order() -> None:
    """Each model on each accelerator has its own observations, in the order of time."""
    log = read_observations(
        "log",
        "time_s,model,gpu,rps,isl,osl,ttft_ms\n3,a,H100,1,9,9,9\n1,a,H100,1,9,9,9\n2,b,L4,1,9,9,9\n",
    )
    assert [(r.model, r.accelerator) for r in log.replicas] == [("a", "H100"), ("b", "L4")]
    assert [line for line, _ in log.replicas[0].observations] == [3, 2]


def test_engine_steps_are_told_by_their_columns() -> None:
    """A column of iteration times makes it a log of iterations."""
    log = read_observations("log", "step_ms,batch_size,num_prefill_tokens\n9,4,100\n")
    assert log.kind is StepObservation
    assert log.replicas[0].observations[0][1] == StepObservation(
        iteration_ms=9.0, decode_tokens=4.0, prefill_tokens=100.0
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "log: has no observations: give a header"),
        (HEADER, "log: has no observations"),
        (f"{HEADER}1,2,3,4\n", "log:2: 4 cells, the header has 5"),
        (f"{HEADER}1,2,3,4,5\n1,2,x,4,5\n", "log:3: output_tokens = 'x': must be a number"),
        ("rate,isl,osl,ttft_ms\n1,2,3,4\n", "log:1: rate: states no unit; name it rate_rps"),
        ("rps,isl,osl,ttft\n1,2,3,4\n", "log:1: ttft: states no unit; name it ttft_ms"),
        ("rps,isl,osl,itl_ms,tpot_ms\n1,2,3,4,5\n", "means itl_ms, as 'itl_ms' does"),
        ("rps,isl,output_tokns,ttft_ms\n1,2,3,4\n", "did you mean 'output_tokns'? rename it"),
        ("rps,isl,osl\n1,2,3\n", "log:1: ttft_ms or itl_ms: the column is missing"),
        ("isl,isl,osl\n1,2,3\n", "log:1: isl: the column comes twice"),
        ('{"rps": 1}\n{bad\n', "log:2: is no JSON"),
        ('{"rps": 1}\n[1]\n', "log:2: must be a JSON object"),
        (
            '{"rps": true, "isl": 1, "osl": 1, "ttft_ms": 1}\n',
            "log:1: rps = True: must be a number",
        ),
    ],
)
def test_faults_name_line_and_column(text: str, words: str) -> None:
    """What cannot be read says where, what came, and what is wanted."""
    with pytest.raises(ObservationFileError) as refused:
        read_observations("log", text)
    assert words in str(refused.value)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    """An absent file and one that is no text are refused by name."""
    with pytest.raises(ObservationFileError, match="cannot be read: No such file"):
        read_observations(tmp_path / "absent.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ObservationFileError, match="not UTF-8"):
        read_observations(tmp_path / "binary.csv")
