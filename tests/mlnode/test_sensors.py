"""What /metrics tells of the machine: sensors that exist, and no series for those that do not."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlnode.metrics import Metrics
from mlnode.sensors import Host, Sensors, open_gpus
from tests.mlnode.nvml_stand_in import StandInNvml
from tests.mlnode.service_harness import TINY, Service

GPU_SCHEMA = {
    "temp_core_celsius": 61,
    "temp_hbm_celsius": 70,
    "power_draw_watts": 312.5,
    "power_limit_watts": 700,
    "sm_clock_hertz": 1.98e9,
    "memory_used_bytes": 60e9,
    "memory_free_bytes": 20e9,
    "ecc_dbe_total": 3,
    "pcie_replay_total": 5,
}
HOST_SCHEMA = ("cpu_busy_ratio", "cpu_steal_ratio", "memory_used_bytes", "memory_limit_bytes")


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Value by name and label values."""
    return {
        (sample.name, *(sample.labels[key] for key in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(nvml: Any = None, models_dir: Path | None = None) -> dict[tuple[str, ...], float]:
    return samples(Metrics(Sensors(models_dir, nvml)).render().decode())


def test_every_gpu_metric_of_the_schema_is_served_in_base_units() -> None:
    found = scrape(StandInNvml(gpu_count=2))

    for index in ("0", "1"):
        assert {name: found[f"mlnode_gpu_{name}", index] for name in GPU_SCHEMA} == GPU_SCHEMA
    assert abs(found["mlnode_source_scrape_timestamp_seconds", "gpu"] - time.time()) < 60


def test_a_sensor_that_a_gpu_lacks_has_no_series_and_the_others_stay() -> None:
    lacking = StandInNvml(refused=("nvmlDeviceGetTotalEccErrors",), memory_celsius=0)

    names = {key[0] for key in scrape(lacking)}

    assert names & {"mlnode_gpu_ecc_dbe_total", "mlnode_gpu_temp_hbm_celsius"} == set()
    assert {f"mlnode_gpu_{name}" for name in GPU_SCHEMA} - names == {
        "mlnode_gpu_ecc_dbe_total",
        "mlnode_gpu_temp_hbm_celsius",
    }


def test_faults_of_the_driver_are_counted_by_gpu_and_kind_across_scrapes() -> None:
    nvml = StandInNvml(gpu_count=2)
    metrics = Metrics(Sensors(nvml=nvml))
    nvml.events += [(1, 79), (1, 79), (0, 48)]
    metrics.render()
    nvml.events.append((1, 79))

    found = samples(metrics.render().decode())

    assert found["mlnode_gpu_xid_events_total", "1", "79"] == 3
    assert found["mlnode_gpu_xid_events_total", "0", "48"] == 1


def test_without_a_driver_there_is_no_gpu_series_and_no_gpu_source() -> None:
    found = scrape(StandInNvml(refused=("nvmlInit",)))

    assert not [key for key in found if key[0].startswith("mlnode_gpu_")]
    assert ("mlnode_source_scrape_timestamp_seconds", "gpu") not in found


def test_the_real_library_agrees_with_the_machine_on_whether_there_is_a_gpu() -> None:
    pytest.importorskip("pynvml")

    assert (open_gpus() is not None) == Path("/dev/nvidia0").exists()


def test_the_stand_in_has_only_names_that_the_real_library_has() -> None:
    pynvml = pytest.importorskip("pynvml")

    names = [name for name in dir(StandInNvml) if name.startswith(("nvml", "NVML_"))]

    assert len(names) > 15
    assert [name for name in names if not hasattr(pynvml, name)] == []


def test_a_scrape_that_finds_the_driver_stuck_still_answers_the_rest() -> None:
    stuck, entered = threading.Event(), threading.Event()
    nvml = StandInNvml()

    def hang(_handle: object) -> int:
        entered.set()
        stuck.wait(30)
        return 0

    nvml.nvmlDeviceGetPcieReplayCounter = hang  # type: ignore[method-assign]
    metrics = Metrics(Sensors(nvml=nvml))
    first = threading.Thread(target=metrics.render)
    first.start()
    assert entered.wait(10)

    names = {key[0] for key in samples(metrics.render().decode())}
    stuck.set()
    first.join()

    assert "mlnode_requests_in_flight" in names
    assert not [name for name in names if name.startswith("mlnode_gpu_")]


def test_processor_shares_are_those_since_the_last_scrape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], time=time.time)
    monkeypatch.setattr("mlnode.sensors.time", clock)
    (tmp_path / "stat").write_text("cpu 100 0 100 800 0 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
    host = Host(proc=tmp_path)
    at_once = [family.samples for family in host.collect()[:2]]
    (tmp_path / "stat").write_text("cpu 150 0 120 920 0 5 0 5 0 0\n")
    now[0] += 10

    busy, steal = (family.samples[0].value for family in host.collect()[:2])

    assert at_once == [[], []]
    assert (busy, steal) == (75 / 200, 5 / 200)


def test_a_container_with_a_limit_tells_its_own_memory(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "box").mkdir()
    (tmp_path / "meminfo").write_text("MemTotal: 4096 kB\nMemAvailable: 1024 kB\n")
    (tmp_path / "self/cgroup").write_text("0::/box\n")
    (tmp_path / "box/memory.max").write_text("max\n")
    host = Host(proc=tmp_path, cgroups=tmp_path)
    of_the_machine = [family.samples[0].value for family in host.collect()[2:4]]
    (tmp_path / "box/memory.max").write_text("1048576\n")
    (tmp_path / "box/memory.current").write_text("700000\n")
    (tmp_path / "box/memory.stat").write_text("anon 1\ninactive_file 200000\n")

    of_the_container = [family.samples[0].value for family in host.collect()[2:4]]

    assert of_the_machine == [3072 * 1024, 4096 * 1024]
    assert of_the_container == [500_000, 1_048_576]


def test_a_serving_node_tells_host_compute_and_what_it_serves(node: Service) -> None:
    idle = samples(node.client.get("/metrics").text)
    node.up()
    time.sleep(1.1)

    serving = samples(node.client.get("/metrics").text)

    assert ("mlnode_config_info", "auto", "transformers", TINY) not in idle
    assert serving["mlnode_config_info", "auto", "transformers", TINY] == 1
    ratios = [serving[f"mlnode_host_{name}",] for name in HOST_SCHEMA[:2]]
    assert all(0 <= ratio <= 1 for ratio in ratios)
    assert 0 < serving["mlnode_host_memory_used_bytes",] < serving["mlnode_host_memory_limit_bytes",]
    assert serving["mlnode_host_hf_cache_free_bytes",] > 0
    assert serving["mlnode_compute_resident_memory_bytes", "0"] > 10_000_000


def test_without_a_compute_process_its_memory_has_no_series() -> None:
    metrics = Metrics(Sensors())
    metrics.update("stopped", [False], [None])

    found = samples(metrics.render().decode())

    assert found["mlnode_compute_up", "0"] == 0
    assert ("mlnode_compute_resident_memory_bytes", "0") not in found


def test_what_torch_holds_on_a_card_is_told_until_the_process_ends() -> None:
    metrics = Metrics(Sensors())
    for process in (0, 1):
        metrics.update_memory(process, [{"device": "cuda:0", "allocated": 5, "reserved": 9}])
    metrics.update_memory(1, ())

    found = {key: value for key, value in samples(metrics.render().decode()).items() if "device" in key[0]}

    assert found == {
        ("mlnode_compute_device_memory_bytes", "cuda:0", "allocated", "0"): 5,
        ("mlnode_compute_device_memory_bytes", "cuda:0", "reserved", "0"): 9,
    }


def test_pieces_are_counted_and_timed_by_process_and_kind() -> None:
    metrics = Metrics(Sensors())
    metrics.poc_piece("generate", 0, 40, 0.2)
    metrics.poc_piece("generate", 0, 2, 0.1)
    metrics.poc_piece("validate", 1, 7, 0.1)
    metrics.update_batches({0: 32, 1: 64})
    metrics.update_batches({1: 64})

    found = samples(metrics.render().decode())

    assert found["mlnode_poc_computed_nonces_total", "generate", "0"] == 42
    assert found["mlnode_poc_computed_nonces_total", "validate", "1"] == 7
    assert found["mlnode_poc_batch_seconds_count", "generate", "0"] == 2
    assert found["mlnode_poc_batch_nonces", "1"] == 64
    assert ("mlnode_poc_batch_nonces", "0") not in found
