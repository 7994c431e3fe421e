"""Devices as people write them."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.errors import SpecError
from optimizer.kv import DeviceScope
from optimizer.kv.device_text import catalogue_devices, device_named, read_device_file


def test_names_figures_and_likenesses():
    """A name of the catalogue, figures of one's own, and a catalogue device with another price."""
    assert device_named("nvme_paper").bandwidth_gb_s == 4.8
    own = device_named("name=x, bandwidth_gb_s=2.5, latency_ms=1, scope=local")
    assert (own.bandwidth_gb_s, own.latency_ms, own.scope) == (2.5, 1.0, DeviceScope.LOCAL)
    like = device_named("like=nvme_paper,name=ours,usd_per_gb_hour=0.5")
    assert (like.name, like.bandwidth_gb_s, like.usd_per_gb_hour) == ("ours", 4.8, 0.5)


def test_the_catalogue_without_accelerators_memory():
    """45 places to load from, all priced; aggregates are divided among their accelerators."""
    devices = {device.name: device for device in catalogue_devices()}
    assert len(devices) == 45
    assert not {"gpu_hbm_h200", "nvlink4_peer"} & set(devices)
    assert min(device.usd_per_gb_hour for device in devices.values()) > 0
    assert devices["weka_nixl_8gpu"].sharers == 8


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nvme_papper", "did you mean nvme_paper"),
        ("name=x", "bandwidth_gb_s: is missing"),
        ("name=x,bandwidth_gb_s=fast", "bandwidth_gb_s = 'fast': must be a number"),
        ("name=x,bandwidth_gb_s=-1", "bandwidth_gb_s = -1.0: must be greater than 0"),
        ("name=x,bandwidth_gb_s=nan", "bandwidth_gb_s = nan"),
        ("name=x,bandwith_gb_s=1", "did you mean 'bandwidth_gb_s'"),
        ("name=,bandwidth_gb_s=1", "name = '': must be a text"),
        ("name=x,bandwidth_gb_s=1,scope=moon", "must be one of local, cluster, cloud"),
        ("like=moon,name=x", "no storage device 'moon'"),
    ],
)
def test_wrong_words_are_refused(text, said):
    """What came and what is wanted."""
    with pytest.raises(SpecError) as caught:
        device_named(text)
    assert said in str(caught.value)


def test_a_file_with_links(tmp_path):
    """YAML and JSON give the same devices and paths."""
    content = {
        "devices": [{"name": "far", "bandwidth_gb_s": 10}],
        "links": [{"from": "far", "to": "gpu", "bandwidth_gb_s": 5, "latency_ms": 1}],
        "compute": "gpu",
    }
    as_json, as_yaml = tmp_path / "d.json", tmp_path / "d.yaml"
    as_json.write_text(json.dumps(content))
    as_yaml.write_text(
        "devices:\n  - {name: far, bandwidth_gb_s: 10}\ncompute: gpu\n"
        "links:\n  - {from: far, to: gpu, bandwidth_gb_s: 5, latency_ms: 1}\n"
    )
    for path in (as_json, as_yaml):
        read = read_device_file(path)
        assert read.topology is not None
        found = read.topology.path("far", read.compute)
        assert found is not None
        assert found.bandwidth_gb_s == 5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"devices": []}, "devices: must be a list of one or more"),
        ({"devices": "x"}, "devices: must be a list of one or more, not a text"),
        ([1], "must be a mapping with the keys devices"),
        ({"devices": [{"name": "a"}]}, "devices[0].bandwidth_gb_s: is missing"),
        ({"devices": [{"name": "a", "bandwidth_gb_s": True}]}, "devices[0].bandwidth_gb_s = true"),
        ({"devices": [{"name": "a", "bandwidth_gb_s": -1}]}, "devices[0].bandwidth_gb_s = -1"),
        ({"devices": [7]}, "devices[0]: must be a mapping"),
        ({"device": []}, "did you mean 'devices'"),
        (
            {"devices": [{"name": "a", "bandwidth_gb_s": 1}], "links": [{"from": "a"}],
             "compute": "a"},
            "links[0].to: is missing",
        ),
        (
            {"devices": [{"name": "a", "bandwidth_gb_s": 1}], "links": []}, "compute: is missing",
        ),
        (
            {"devices": [{"name": "a", "bandwidth_gb_s": 1}], "compute": "b",
             "links": [{"from": "a", "to": "c", "bandwidth_gb_s": 1}]},
            "compute = 'b': is on no link",
        ),
    ],
)  # fmt: skip
def test_wrong_files_are_refused_by_path(content, said, tmp_path):
    """File and place in it are named."""
    path = tmp_path / "d.json"
    path.write_text(json.dumps(content))
    with pytest.raises(SpecError) as caught:
        read_device_file(path)
    assert said in str(caught.value)
    assert "d.json" in str(caught.value)


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.sampled_from(["a", "gpu", "local", ""]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["devices", "links", "compute", "name", "from", "to", "bandwidth_gb_s",
                         "scope", "free_gb", "x"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(content=_json)
@settings(deadline=None, max_examples=150, derandomize=True)
def test_any_file_is_read_or_refused(content):
    """Whatever JSON comes: devices, or a SpecError."""
    text = io.StringIO(json.dumps(content))
    try:
        read = read_device_file(text)
    except SpecError:
        return
    assert read.devices


def test_every_fault_of_a_file_is_told(tmp_path):
    """Two wrong devices, two faults."""
    path = tmp_path / "d.json"
    path.write_text(json.dumps({"devices": [{"name": "a"}, {"name": "b", "bandwidth_gb_s": 0}]}))
    with pytest.raises(SpecError) as caught:
        read_device_file(path)
    assert len(caught.value.faults) == 2
