"""Runs the tests in two rounds: those without processes side by side, then real networks one by one.

A network of several processes needs the machine for itself to keep its blocks at their pace.
`python -m tools.run_tests [pytest arguments]`; the exit code is pytest's, of the first round that failed.
"""

from __future__ import annotations

import subprocess
import sys

NO_TESTS = 5  # pytest's exit code where nothing was selected
ROUNDS = (
    ("-m", "not localnet", "-n", "3", "--dist", "loadgroup"),
    ("-m", "localnet", "-n", "0"),
)


def main(arguments: list[str]) -> int:
    """The worst of the rounds; nothing selected in any of them counts as a failure."""
    codes = [
        subprocess.run([sys.executable, "-m", "pytest", *options, *arguments], check=False).returncode
        for options in ROUNDS
    ]
    failures = [code for code in codes if code not in {0, NO_TESTS}]
    if failures:
        return failures[0]
    return NO_TESTS if all(code == NO_TESTS for code in codes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
