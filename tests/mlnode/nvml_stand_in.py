"""NVML for machines without a GPU: the part of pynvml that sensors use, with settable answers."""

# ruff: noqa: N802 - the names are the library's.

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NoReturn


class RefusedByNvml(Exception):
    pass


class StandInNvml:
    """Functions named in `refused` fail as NVML does for what a GPU cannot tell."""

    NVMLError = RefusedByNvml
    NVML_SUCCESS = 0
    NVML_ERROR_NOT_SUPPORTED = 3
    NVML_TEMPERATURE_GPU = 0
    NVML_FI_DEV_MEMORY_TEMP = 82
    NVML_CLOCK_SM = 1
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED = 1
    NVML_AGGREGATE_ECC = 1
    nvmlEventTypeXidCriticalError = 8  # noqa: N815

    def __init__(self, gpu_count: int = 1, refused: Sequence[str] = (), memory_celsius: int = 70) -> None:
        self.gpu_count = gpu_count
        self.memory_celsius = memory_celsius
        self.events: list[tuple[int, int]] = []
        for name in refused:
            setattr(self, name, self._refuse)

    def _refuse(self, *_: Any) -> NoReturn:
        raise RefusedByNvml

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return self.gpu_count

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetIndex(self, handle: int) -> int:
        return handle

    def nvmlDeviceGetTemperature(self, _handle: int, _sensor: int) -> int:
        return 61

    def nvmlDeviceGetFieldValues(self, _handle: int, fields: Sequence[int]) -> list[Any]:
        assert fields == [self.NVML_FI_DEV_MEMORY_TEMP]
        return [SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(uiVal=self.memory_celsius))]

    def nvmlDeviceGetPowerUsage(self, _handle: int) -> int:
        return 312_500

    def nvmlDeviceGetEnforcedPowerLimit(self, _handle: int) -> int:
        return 700_000

    def nvmlDeviceGetClockInfo(self, _handle: int, _clock: int) -> int:
        return 1980

    def nvmlDeviceGetMemoryInfo(self, _handle: int) -> Any:
        return SimpleNamespace(used=60_000_000_000, free=20_000_000_000)

    def nvmlDeviceGetTotalEccErrors(self, _handle: int, _kind: int, _since: int) -> int:
        return 3

    def nvmlDeviceGetPcieReplayCounter(self, _handle: int) -> int:
        return 5

    def nvmlEventSetCreate(self) -> object:
        return object()

    def nvmlDeviceRegisterEvents(self, _handle: int, kinds: int, _events: object) -> None:
        assert kinds == self.nvmlEventTypeXidCriticalError

    def nvmlEventSetWait_v2(self, _events: object, _timeout_ms: int) -> Any:
        if not self.events:
            raise RefusedByNvml
        device, xid = self.events.pop(0)
        return SimpleNamespace(device=device, eventData=xid)
