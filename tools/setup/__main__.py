"""`python -m tools.setup [environment] [cometbft] [model]`: makes what is missing; without names, all."""

from __future__ import annotations

import fcntl
import sys
import time
from typing import Protocol

from tools.setup import comet, environment, model
from tools.setup.console import CACHE, SetupError, say


class Step(Protocol):
    """One thing to set up: whether it is there, and how to make it."""

    TITLE: str
    COST: str

    def done(self) -> bool: ...

    def make(self) -> None: ...


STEPS: dict[str, Step] = {"environment": environment, "cometbft": comet, "model": model}


def perform(step: Step) -> bool:
    """Makes a step unless it is done; returns whether there was anything to do."""
    if step.done():
        return False
    print(f"{step.TITLE}: {step.COST}", flush=True)
    started = time.monotonic()
    step.make()
    say(f"done in {time.monotonic() - started:.0f} s")
    return True


def main(names: list[str]) -> int:
    """Performs the named steps in order, never twice at a time; returns 1 after a failure."""
    unknown = [name for name in names if name not in STEPS]
    if unknown:
        print(f"Unknown: {', '.join(unknown)}; there are {', '.join(STEPS)}.", file=sys.stderr)
        return 2
    try:
        CACHE.mkdir(exist_ok=True)
        with (CACHE / "setup.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            worked = [name for name in STEPS if name in (names or STEPS) and perform(STEPS[name])]
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"\nSetting up failed: {error}; make room or mend the rights there, then run make setup again.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\nStopped; what is done stays done, make setup goes on from here.", file=sys.stderr)
        return 130
    if not names and not worked:
        print("Set-up: all there.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
