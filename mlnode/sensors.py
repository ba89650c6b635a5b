"""What the machine tells at a scrape: GPUs by NVML, host, compute process; without a sensor no series."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

# A scrape that finds another one stuck in the driver goes without the sensors.
LOCK_TIMEOUT_S: Final = 2.0
# Processor time comes in hundredths of a second, so shorter windows say nothing.
CPU_WINDOW_S: Final = 1.0
FIELDS_BUSY: Final = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq
FIELD_STEAL: Final = 7
FIELDS_ALL: Final = 8

log = structlog.get_logger("mlnode.sensors")


class Sensors(Collector):
    """Everything that is read anew at each scrape."""

    def __init__(self, models_dir: Path | None = None, nvml: Any | None = None) -> None:
        self.compute_pids: tuple[int | None, ...] = ()
        self._host = Host(models_dir)
        self._gpus = open_gpus(nvml)
        self._lock = threading.Lock()

    def describe(self) -> list[Metric]:
        # Without it a registry scrapes once when it learns of the collector.
        return []

    def collect(self) -> Iterator[Metric]:
        if not self._lock.acquire(timeout=LOCK_TIMEOUT_S):
            return
        try:
            sources = {"host": self._host.collect()}
            if self._gpus is not None:
                sources["gpu"] = self._gpus.collect()
            read_at = GaugeMetricFamily(
                "mlnode_source_scrape_timestamp_seconds", "When a source last answered", labels=["source"]
            )
            for source, families in sources.items():
                found = [family for family in families if family.samples]
                if found:
                    read_at.add_metric([source], time.time())
                yield from found
            yield read_at
            yield self._resident()
        finally:
            self._lock.release()

    def _resident(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "mlnode_compute_resident_memory_bytes", "Resident memory of a compute process", labels=["process"]
        )
        for process, pid in enumerate(self.compute_pids):
            with contextlib.suppress(OSError, ValueError, IndexError):
                family.add_metric([str(process)], resident_bytes(pid))
        return family


def resident_bytes(pid: int | None) -> int:
    """Memory of a process; OSError where there is none."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


# host


@dataclass
class Host:
    """Processor, memory and disk, as Linux tells them; elsewhere only the disk."""

    models_dir: Path | None = None
    proc: Path = Path("/proc")
    cgroups: Path = Path("/sys/fs/cgroup")
    _before: list[int] = field(default_factory=list)
    _read_at: float = 0.0
    _ratios: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._before, self._read_at = self._cpu_times(), time.monotonic()

    def collect(self) -> list[Metric]:
        """Families without samples where there is nothing to read."""
        busy = GaugeMetricFamily("mlnode_host_cpu_busy_ratio", "Share of processor time in use")
        steal = GaugeMetricFamily("mlnode_host_cpu_steal_ratio", "Share that went to other guests")
        used = GaugeMetricFamily(
            "mlnode_host_memory_used_bytes", "Memory in use, without what can be dropped"
        )
        limit = GaugeMetricFamily("mlnode_host_memory_limit_bytes", "Memory of the machine or the container")
        free = GaugeMetricFamily("mlnode_host_hf_cache_free_bytes", "Free disk where models are kept")
        with contextlib.suppress(OSError, ValueError):
            self._update_ratios()
        if self._ratios is not None:
            busy.add_metric([], self._ratios[0])
            steal.add_metric([], self._ratios[1])
        with contextlib.suppress(OSError, ValueError, KeyError):
            memory_used, memory_limit = self._memory()
            used.add_metric([], memory_used)
            limit.add_metric([], memory_limit)
        if self.models_dir is not None:
            with contextlib.suppress(OSError):
                free.add_metric([], shutil.disk_usage(self.models_dir).free)
        return [busy, steal, used, limit, free]

    def _cpu_times(self) -> list[int]:
        first = (self.proc / "stat").read_text(encoding="ascii").partition("\n")[0].split()
        return [int(ticks) for ticks in first[1 : 1 + FIELDS_ALL]]

    def _update_ratios(self) -> None:
        now = time.monotonic()
        if now - self._read_at < CPU_WINDOW_S:
            return
        times = self._cpu_times()
        spent = [after - before for after, before in zip(times, self._before, strict=True)]
        if total := sum(spent):
            self._ratios = sum(spent[each] for each in FIELDS_BUSY) / total, spent[FIELD_STEAL] / total
        self._before, self._read_at = times, now

    def _memory(self) -> tuple[int, int]:
        """Used and limit: the container's where it has a limit, else the machine's."""
        lines = (self.proc / "meminfo").read_text(encoding="ascii").splitlines()
        table = {
            name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)
        }
        total = table["MemTotal"]
        with contextlib.suppress(OSError, ValueError, KeyError):
            own = (self.proc / "self/cgroup").read_text(encoding="utf-8").partition("0::")[2].strip()
            folder = self.cgroups / own.lstrip("/")
            limit = int((folder / "memory.max").read_text(encoding="ascii"))
            if limit < total:
                stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                current = int((folder / "memory.current").read_text(encoding="ascii"))
                return current - int(stat["inactive_file"]), limit
        return total - table["MemAvailable"], total


# GPUs


def open_gpus(nvml: Any | None = None) -> Gpus | None:
    """The machine's GPUs; None without the package nvidia-ml-py, without a driver, or without a GPU."""
    try:
        library = nvml or importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        library.nvmlInit()
        gpus = Gpus(library)
    except library.NVMLError as error:
        log.info("no GPU sensors", reason=str(error))
        return None
    return gpus if gpus.handles else None


class Gpus:
    """NVML's view: every GPU that the driver shows, by its index there."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self.handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        self._xids: Counter[tuple[str, str]] = Counter()
        self._events = self._watch()

    def _watch(self) -> Any | None:
        try:
            events = self._nvml.nvmlEventSetCreate()
        except self._nvml.NVMLError:
            return None
        for handle in self.handles:
            with contextlib.suppress(self._nvml.NVMLError):
                self._nvml.nvmlDeviceRegisterEvents(handle, self._nvml.nvmlEventTypeXidCriticalError, events)
        return events

    def collect(self) -> list[Metric]:
        """Utilisation is left out: it reads 100% in decoding and in Proof of Compute alike."""
        nvml = self._nvml
        families: list[Metric] = [
            self._gauge("temp_core_celsius", "Temperature of the core", self._core_celsius),
            self._gauge("temp_hbm_celsius", "Temperature of the memory", self._memory_celsius),
            self._gauge("power_draw_watts", "Power drawn", lambda h: nvml.nvmlDeviceGetPowerUsage(h) / 1000),
            self._gauge(
                "power_limit_watts",
                "Power limit in force",
                lambda h: nvml.nvmlDeviceGetEnforcedPowerLimit(h) / 1000,
            ),
            self._gauge("sm_clock_hertz", "Clock of the processors", self._clock_hertz),
            self._gauge("memory_used_bytes", "Memory in use", lambda h: nvml.nvmlDeviceGetMemoryInfo(h).used),
            self._gauge("memory_free_bytes", "Memory free", lambda h: nvml.nvmlDeviceGetMemoryInfo(h).free),
            self._counter("ecc_dbe", "Double-bit memory errors over the GPU's life", self._double_bit_errors),
            self._counter("pcie_replay", "Replays on the PCIe link", nvml.nvmlDeviceGetPcieReplayCounter),
        ]
        return [*families, self._xid_events()]

    def _gauge(self, name: str, text: str, read: Callable[[Any], float]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(f"mlnode_gpu_{name}", text, labels=["gpu_index"])
        self._fill(family, read)
        return family

    def _counter(self, name: str, text: str, read: Callable[[Any], float]) -> CounterMetricFamily:
        family = CounterMetricFamily(f"mlnode_gpu_{name}", text, labels=["gpu_index"])
        self._fill(family, read)
        return family

    def _fill(self, family: GaugeMetricFamily | CounterMetricFamily, read: Callable[[Any], float]) -> None:
        for index, handle in enumerate(self.handles):
            # What a GPU does not measure, NVML refuses to tell.
            with contextlib.suppress(self._nvml.NVMLError):
                family.add_metric([str(index)], read(handle))

    def _core_celsius(self, handle: Any) -> float:
        celsius: float = self._nvml.nvmlDeviceGetTemperature(handle, self._nvml.NVML_TEMPERATURE_GPU)
        return celsius

    def _memory_celsius(self, handle: Any) -> float:
        (found,) = self._nvml.nvmlDeviceGetFieldValues(handle, [self._nvml.NVML_FI_DEV_MEMORY_TEMP])
        # Some GPUs answer 0 instead of refusing.
        if found.nvmlReturn != self._nvml.NVML_SUCCESS or not found.value.uiVal:
            raise self._nvml.NVMLError(self._nvml.NVML_ERROR_NOT_SUPPORTED)
        celsius: float = found.value.uiVal
        return celsius

    def _clock_hertz(self, handle: Any) -> float:
        megahertz: float = self._nvml.nvmlDeviceGetClockInfo(handle, self._nvml.NVML_CLOCK_SM)
        return megahertz * 1e6

    def _double_bit_errors(self, handle: Any) -> float:
        kind, since = self._nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, self._nvml.NVML_AGGREGATE_ECC
        count: float = self._nvml.nvmlDeviceGetTotalEccErrors(handle, kind, since)
        return count

    def _xid_events(self) -> CounterMetricFamily:
        """Faults that the driver has told since the start; those in its queue are taken now."""
        family = CounterMetricFamily(
            "mlnode_gpu_xid_events", "Faults told by the driver", labels=["gpu_index", "xid"]
        )
        with contextlib.suppress(self._nvml.NVMLError):
            while self._events is not None:
                event = self._nvml.nvmlEventSetWait_v2(self._events, 0)
                self._xids[str(self._nvml.nvmlDeviceGetIndex(event.device)), str(event.eventData)] += 1
        for labels, count in sorted(self._xids.items()):
            family.add_metric(list(labels), count)
        return family
