"""The other side of the lines: starts the process that holds the models, asks, and never imports torch."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

from compiler.diagnostics import Diagnostic, Refusal
from compiler.phrases import phrase
from compiler.plan import Plan
from runtime.launcher import environment
from runtime.run_folder import RunFolder, read_launch

Talk = list[dict[str, str]]


class Client:
    """A process with the models of some runs; used with ``with``. Raises Refusal for what it refuses, or OSError."""

    def __init__(self, runs: Sequence[RunFolder], plan: Plan, *, note: Callable[[str], None]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "runtime.chat.server", *(str(run.path.resolve()) for run in runs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
            env=environment(plan, offline=read_launch(runs[0]).offline),
            text=True,
            encoding="utf-8",
        )
        self.models: list[str] = []
        try:
            for line in self._lines():
                if line["k"] == "note":
                    note(str(line["text"]))
                elif line["k"] == "ready":
                    self.models = [str(name) for name in line["models"]]
                    break
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.kill()
        self._process.wait()
        self._errors.close()

    def ask(self, model: str, messages: Talk, *, max_new_tokens: int, temperature: float = 0.0) -> Iterator[str]:
        """The answer to a conversation, piece by piece. Raises Refusal."""
        self._send(
            {
                "op": "ask",
                "model": model,
                "messages": messages,
                "max_new_tokens": max_new_tokens,
                "temperature": temperature,
            }
        )
        for line in self._lines():
            if line["k"] == "text":
                yield str(line["text"])
            elif line["k"] == "done":
                return

    def batch(
        self, model: str, talks: Sequence[Talk], *, max_new_tokens: int, temperature: float = 0.0
    ) -> list[dict[str, Any]]:
        """The answers to several conversations, each with ``text``, ``tokens`` and ``ended``. Raises Refusal."""
        request = {"op": "batch", "model": model, "talks": list(talks), "max_new_tokens": max_new_tokens}
        self._send({**request, "temperature": temperature})
        answers = []
        for line in self._lines():
            if line["k"] == "answer":
                answers.append({name: line[name] for name in ("text", "tokens", "ended")})
            elif line["k"] == "done":
                break
        return answers

    def break_off(self) -> None:
        """End the answer under way; what is left of it is still to be read."""
        self._process.send_signal(signal.SIGINT)

    def _send(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None

    def _lines(self) -> Iterator[dict[str, Any]]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found = json.loads(line)
            if found["k"] == "error":
                raise Refusal(Diagnostic(found["code"], found["message"], help=found.get("help")))
            yield found
        raise self._died()

    def _died(self) -> Refusal:
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
        last = f": {said[-1]}" if said else ""
        message = phrase("the process with the models has gone (exit code {code}){last}", code=code, last=last)
        return Refusal(Diagnostic("X004", message, help=phrase("is there memory enough for the model?")))
