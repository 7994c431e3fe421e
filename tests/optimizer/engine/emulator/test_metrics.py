"""`/metrics` beside vLLM's own, read by real tools where they are installed."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from optimizer.engine import EngineConfig
from tests.optimizer.engine.emulator.calls import call, document
from tests.optimizer.engine.emulator.served import Served

# Names, types and further labels of vLLM 0.33 (vllm/v1/metrics/loggers.py).
_EXPECTED = {
    "vllm:num_requests_running": ("gauge", ()),
    "vllm:num_requests_waiting": ("gauge", ()),
    "vllm:num_requests_waiting_by_reason": ("gauge", ("reason",)),
    "vllm:kv_cache_usage_perc": ("gauge", ()),
    "vllm:prefix_cache_queries": ("counter", ()),
    "vllm:prefix_cache_hits": ("counter", ()),
    "vllm:num_preemptions": ("counter", ()),
    "vllm:prompt_tokens": ("counter", ()),
    "vllm:prompt_tokens_cached": ("counter", ()),
    "vllm:prompt_tokens_by_source": ("counter", ("source",)),
    "vllm:generation_tokens": ("counter", ()),
    "vllm:external_prefix_cache_queries": ("counter", ()),
    "vllm:external_prefix_cache_hits": ("counter", ()),
    "vllm:mm_cache_queries": ("counter", ()),
    "vllm:mm_cache_hits": ("counter", ()),
    "vllm:engine_sleep_state": ("gauge", ("sleep_state",)),
    "vllm:request_success": ("counter", ("finished_reason",)),
    "vllm:admission_rejections": ("counter", ("reason",)),
    "vllm:time_to_first_token_seconds": ("histogram", ("le",)),
    "vllm:inter_token_latency_seconds": ("histogram", ("le",)),
    "vllm:request_time_per_output_token_seconds": ("histogram", ("le",)),
    "vllm:e2e_request_latency_seconds": ("histogram", ("le",)),
    "vllm:request_queue_time_seconds": ("histogram", ("le",)),
    "vllm:request_inference_time_seconds": ("histogram", ("le",)),
    "vllm:request_prefill_time_seconds": ("histogram", ("le",)),
    "vllm:request_decode_time_seconds": ("histogram", ("le",)),
    "vllm:request_prompt_tokens": ("histogram", ("le",)),
    "vllm:request_generation_tokens": ("histogram", ("le",)),
    "vllm:request_max_num_generation_tokens": ("histogram", ("le",)),
    "vllm:request_params_max_tokens": ("histogram", ("le",)),
    "vllm:request_params_n": ("histogram", ("le",)),
    "vllm:request_prefill_kv_computed_tokens": ("histogram", ("le",)),
    "vllm:request_num_preemptions": ("histogram", ("le",)),
    "vllm:iteration_tokens_total": ("histogram", ("le",)),
}
_SECONDS = {
    "vllm:time_to_first_token_seconds": ".001 .005 .01 .02 .04 .06 .08 .1 .25 .5 .75 1 2.5 5 7.5 "
    "10 20 40 80 160 640 2560",
    "vllm:inter_token_latency_seconds": ".01 .025 .05 .075 .1 .15 .2 .3 .4 .5 .75 1 2.5 5 7.5 10 "
    "20 40 80",
    "vllm:e2e_request_latency_seconds": ".3 .5 .8 1 1.5 2 2.5 5 10 15 20 30 40 50 60 120 240 480 "
    "960 1920 7680",
    "vllm:request_prompt_tokens": "1 2 5 10 20 50 100 200 500 1000 2000",
}


@pytest.fixture(scope="module")
def scraped(serving: Callable[..., Served]) -> tuple[Served, str]:
    """An emulator that has served a request, and its metrics."""
    one = serving(replicas=2)
    document(
        one.url,
        "POST",
        "/v1/completions",
        {"model": "tiny", "prompt": "a " * 40, "n": 2, "max_tokens": 10, "ignore_eos": True},
    )
    status, headers, text = call(one.url, "GET", "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    return one, text.decode()


def test_names_types_labels_and_buckets_are_vllms(scraped: tuple[Served, str]) -> None:
    """Every metric of vLLM's table is there with its type, labels and bucket edges, for both
    replicas."""
    families = {f.name: f for f in text_string_to_metric_families(scraped[1])}
    for name, (kind, labels) in _EXPECTED.items():
        family = families[name]
        assert family.type == kind
        assert family.documentation
        samples = [s for s in family.samples if not s.name.endswith(("_sum", "_count"))]
        assert {frozenset(s.labels) for s in samples} == {
            frozenset({"model_name", "engine", *labels})
        }, name
        assert {s.labels["engine"] for s in samples} == {"0", "1"}
    for name, edges in _SECONDS.items():
        found = [
            s.labels["le"]
            for s in families[name].samples
            if s.labels.get("engine") == "0" and "le" in s.labels
        ]
        assert [float(edge) for edge in found] == [*map(float, edges.split()), float("inf")]
    info = families["vllm:cache_config_info"].samples[0].labels
    assert (info["block_size"], info["num_gpu_blocks"]) == ("16", "4097")


def test_counts_are_those_of_what_was_served(scraped: tuple[Served, str]) -> None:
    """Two outputs of ten tokens, one on each replica."""
    values = {
        (s.name, s.labels["engine"]): s.value
        for family in text_string_to_metric_families(scraped[1])
        for s in family.samples
        if set(s.labels) == {"model_name", "engine"}
    }
    for engine in ("0", "1"):
        assert values["vllm:generation_tokens_total", engine] == 10
        assert values["vllm:time_to_first_token_seconds_count", engine] == 1
        assert values["vllm:inter_token_latency_seconds_count", engine] == 9
        assert values["vllm:e2e_request_latency_seconds_count", engine] == 1
        assert values["vllm:request_params_n_sum", engine] == 2
        assert values["vllm:num_requests_running", engine] == 0


def test_drafts_are_counted_where_there_are_any(serving: Callable[..., Served]) -> None:
    """Drafts of two tokens, all accepted: at both places as often as tokens were drafted. Without
    speculative decoding vLLM does not show these, nor do we."""
    config = EngineConfig(
        num_blocks=200, max_model_len=512, draft_tokens=2, acceptance_rate=1.0, max_num_seqs=4
    )
    one = serving(config=config, drafts_by_chance=True)
    ask = {"model": "tiny", "prompt": "a", "max_tokens": 31, "ignore_eos": True}
    document(one.url, "POST", "/v1/completions", ask)
    text = call(one.url, "GET", "/metrics")[2].decode()
    name = "vllm:spec_decode_num_accepted_tokens_per_pos_total"
    found = {
        (s.name, s.labels.get("position")): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }
    assert found["vllm:spec_decode_num_drafts_total", None] == 10
    assert found["vllm:spec_decode_num_draft_tokens_total", None] == 20
    assert found["vllm:spec_decode_num_accepted_tokens_total", None] == 20
    assert found[name, "0"] == found[name, "1"] == 10


def test_clients_requests_are_counted(scraped: tuple[Served, str]) -> None:
    """As by vLLM's server: by handler, method and class of status, scrapes left out."""
    one = scraped[0]
    call(one.url, "POST", "/v1/completions", b"{")
    text = call(one.url, "GET", "/metrics")[2].decode()
    families = {f.name: f for f in text_string_to_metric_families(text)}
    counts = {
        (s.labels["handler"], s.labels["status"]): s.value
        for s in families["http_requests"].samples
    }
    assert counts == {("/v1/completions", "2xx"): 1, ("/v1/completions", "4xx"): 1}
    assert families["http_request_duration_seconds"].type == "histogram"


def test_the_names_keep_their_colon_whoever_asks(scraped: tuple[Served, str]) -> None:
    """A scraper that prefers OpenMetrics gets the same text: escaped, no query would find it."""
    accept = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    _, headers, text = call(scraped[0].url, "GET", "/metrics", headers=accept)
    assert headers["content-type"].startswith("text/plain")
    assert b"vllm:num_requests_running{" in text
    assert b"vllm_" not in text
    assert b"_created" not in text


def test_a_replica_can_be_scraped_by_itself(scraped: tuple[Served, str]) -> None:
    """It is then a server of its own, whose engine is 0."""
    _, _, text = call(scraped[0].url, "GET", "/replicas/1/metrics")
    assert b'vllm:generation_tokens_total{engine="0",model_name="tiny"} 10.0' in text
    assert b'engine="1"' not in text


def test_former_names_are_there_on_request(serving: Callable[..., Served]) -> None:
    """Each renamed metric has a twin of its old name with the same samples."""
    one = serving(former_names=True)
    _, _, text = call(one.url, "GET", "/metrics")
    found = {f.name: f for f in text_string_to_metric_families(text.decode())}
    for new, old in (
        ("kv_cache_usage_perc", "gpu_cache_usage_perc"),
        ("inter_token_latency_seconds", "time_per_output_token_seconds"),
    ):
        assert len(found[f"vllm:{new}"].samples) == len(found[f"vllm:{old}"].samples)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_wrong(scraped: tuple[Served, str]) -> None:
    """With the colon, which vLLM's names have and the linter would leave to recording rules, put
    aside, it complains of one thing alone: vLLM's histogram whose name ends in `_total`."""
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=scraped[1].replace("vllm:", "vllm_"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.sub(r"\s+", " ", checked.stdout + checked.stderr).strip() == (
        'vllm_iteration_tokens_total non-counter metrics should not have "_total" suffix'
    )


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")
def test_a_real_prometheus_scrapes_it(scraped: tuple[Served, str], tmp_path: Path) -> None:
    """Told where the replicas are by the emulator itself, it finds both up and their series under
    vLLM's names."""
    one = scraped[0]
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        port = chosen.getsockname()[1]
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 200ms}\n"
        "scrape_configs:\n"
        "  - job_name: emulator\n"
        f"    http_sd_configs: [{{url: '{one.url}/replicas/targets', refresh_interval: 1s}}]\n"
    )
    log = (tmp_path / "log").open("w")
    server = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=log,
        stderr=log,
    )
    try:
        rows = _found(port, 'vllm:generation_tokens_total{model_name="tiny"}', 2)
        assert sorted((r["metric"]["replica"], r["value"][1]) for r in rows) == [
            ("0", "10"),
            ("1", "10"),
        ]
        assert [r["value"][1] for r in _found(port, "up", 2)] == ["1", "1"]
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def _found(port: int, query: str, count: int) -> list[dict[str, dict[str, str]]]:
    """Ask until so many series are there."""
    url = f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(query)}"
    for _ in range(300):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                rows: list[dict[str, dict[str, str]]] = json.load(answer)["data"]["result"]
            if len(rows) >= count:
                return rows
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.1)
    pytest.fail(f"prometheus found no {count} series of {query} within 30 s")
