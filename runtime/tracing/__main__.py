"""The child process that traces: a job as JSON on standard input, what was seen as JSON on standard output."""

from __future__ import annotations

import contextlib
import json
import sys


def main() -> None:
    """Trace one job. Whatever libraries print goes to standard error."""
    job = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        from runtime.tracing.job import job_from_json
        from runtime.tracing.step import trace

        seen = trace(job_from_json(job))
    json.dump(seen.as_json(), sys.stdout)


if __name__ == "__main__":
    main()
