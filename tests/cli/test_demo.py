"""How the demo ends when it is interrupted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INTERRUPTED_IN_AN_EXEC = """
import os, signal
from cli.demo import EXIT_INTERRUPTED, interrupt

signal.signal(signal.SIGTERM, interrupt)
try:
    exec("import os, signal; os.kill(os.getpid(), signal.SIGTERM); signal.pause()")
except KeyboardInterrupt:
    raise SystemExit(EXIT_INTERRUPTED) from None
"""


def test_an_interruption_while_a_module_is_made_still_ends_with_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(INTERRUPTED_IN_AN_EXEC)

    done = subprocess.run(
        [sys.executable, "-m", "interrupted"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )

    assert done.returncode == 130
