"""A writer that is killed at any moment leaves the old file or the new one, never a half of either."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from compiler.files import write_atomically

SIZE = 300_000

PROGRAM = """
import itertools, sys
from pathlib import Path
from compiler.files import write_atomically
for digit in itertools.cycle(b"0123456789"):
    write_atomically(Path(sys.argv[1]), bytes([digit]) * int(sys.argv[2]))
"""


def test_a_killed_writer_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    moments = random.Random(7)
    for _ in range(6):
        path.write_bytes(b"old" * (SIZE // 3))
        child = subprocess.Popen([sys.executable, "-c", PROGRAM, str(path), str(SIZE)])
        while path.read_bytes().startswith(b"old"):  # read whole at every look, while it is being replaced
            assert child.poll() is None
            time.sleep(0.001)
        time.sleep(moments.uniform(0.0, 0.05))
        child.kill()
        child.wait()
        assert path.read_bytes() in {bytes([digit]) * SIZE for digit in b"0123456789"}
    write_atomically(path, b"next")
    assert path.read_bytes() == b"next"
