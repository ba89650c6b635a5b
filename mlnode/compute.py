"""The compute process: imports torch once and lives through all stages.

The main thread only reads commands; Proof of Compute and inference have a thread each. It ends when the HTTP
process closes the connection, and ends itself, loudly, on a bug in a thread: the other side starts another.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mlnode.wire import Channel, Message

if TYPE_CHECKING:
    import torch

EXIT_FATAL = 70
MEMORY_INTERVAL_S = 5.0


def serve(channel: Channel, options: Message) -> None:
    """Sets torch up, says so, and obeys until the connection ends."""
    torch = importlib.import_module("torch")
    from mlnode.inference import Engine  # noqa: PLC0415 - these cost seconds, which a failed start should not
    from mlnode.poc_worker import PocWorker  # noqa: PLC0415
    from mlnode.pow_engine import parse_devices  # noqa: PLC0415

    threads = options["threads"]
    torch.set_num_threads(threads)
    devices = parse_devices(options["device"])
    for each in devices:
        torch.empty(1, device=each)  # a device that is not there fails here, with its reason
    device = devices[0]
    poc = PocWorker(channel, options["device"], threads)
    engine = Engine(
        channel,
        device,
        threads,
        active_max=options["requests_active_max"],
        waiting_max=options["requests_waiting_max"],
    )
    if any(each.type != "cpu" for each in devices):
        threading.Thread(target=_tell_memory, args=(channel, devices), daemon=True).start()
    poc.start()
    engine.start()
    channel.send(
        {
            "event": "ready",
            "pid": os.getpid(),
            "device": "+".join(map(str, devices)),
            "threads": threads,
            "torch": torch.__version__,
        }
    )
    operations: dict[str, Callable[[Message], None]] = {
        "pow_load": poc.load,
        "pow_generate": poc.generate,
        "pow_extend": poc.extend,
        "pow_pause": poc.pause,
        "pow_unload": poc.unload,
        "pow_validate": poc.validate,
        "model_check": engine.check,
        "model_load": engine.load,
        "model_unload": engine.unload,
        "model_prepare": engine.prepare,
        "model_forget": engine.forget,
        "generate": engine.generate,
        "tokenize": engine.tokenize,
        "score": engine.score,
        "cancel": engine.cancel,
    }
    while (message := channel.receive()) is not None:
        operations[message["op"]](message)


def _tell_memory(channel: Channel, devices: Sequence[torch.device]) -> None:
    """For metrics: what torch has of its cards; of a processor the process's own memory says it."""
    from mlnode.pow_engine import device_memory  # noqa: PLC0415 - brings torch

    # The connection closes before the process ends.
    with contextlib.suppress(OSError):
        while True:
            channel.send({"event": "memory", "devices": device_memory(devices)})
            time.sleep(MEMORY_INTERVAL_S)


def _die(channel: Channel, error: BaseException) -> None:
    traceback.print_exception(error)
    with contextlib.suppress(OSError):  # the HTTP process may be gone
        channel.send({"event": "fatal", "message": f"{type(error).__name__}: {error}"})
    os._exit(EXIT_FATAL)


def main() -> None:
    # A signal to the whole group reaches us too; the HTTP process drains, then closes the connection.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    threading.excepthook = lambda args: _die(channel, args.exc_value or RuntimeError("unknown"))
    options = channel.receive()
    if options is None:
        return
    try:
        serve(channel, options)
    except BaseException as error:  # noqa: BLE001 - the reason must reach the operator before the process ends
        _die(channel, error)
    sys.stdout.flush()
    os._exit(0)  # Threads in the middle of a forward pass are not waited for.


if __name__ == "__main__":
    main()
