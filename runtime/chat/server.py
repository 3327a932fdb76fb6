"""The process that holds the models: ``python -m runtime.chat.server RUN [RUN…]``; see the package for its lines."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from compiler.diagnostics import Diagnostic, Refusal
from compiler.phrases import phrase
from runtime.faults import diagnose
from runtime.imports import importing
from runtime.run_folder import RunFolder, plan_of


class Server:
    """Answers requests one after the other."""

    def __init__(self, runs: list[RunFolder], out: TextIO) -> None:
        with importing(*map(plan_of, runs)):
            from runtime.chat.speakers import Speakers

        self._out = out
        self._stop = False
        self._speakers = Speakers(runs, lambda text: self._say("note", text=text))
        self._say("ready", models=self._speakers.names)

    def _say(self, kind: str, **fields: Any) -> None:
        self._out.write(json.dumps({"k": kind, **fields}, ensure_ascii=True) + "\n")
        self._out.flush()

    def stop(self) -> None:
        """Break off the answer under way."""
        self._stop = True

    def serve(self, requests: TextIO) -> None:
        """Until there are no more requests; a fault in one of them ends none of the others."""
        for line in requests:
            self._stop = False
            try:
                self._answer(json.loads(line))
            except Refusal as refusal:
                self._tell(refusal.diagnostics[0])
            except (ValueError, KeyError, TypeError) as error:
                self._tell(
                    Diagnostic(
                        "X082",
                        phrase(
                            "a request that cannot be read ({name}: {error})", name=type(error).__name__, error=error
                        ),
                    )
                )
            except Exception as error:
                self._tell(diagnose(error, Path()))

    def _tell(self, problem: Diagnostic) -> None:
        self._say("error", code=problem.code, message=problem.message, help=problem.help)

    def _answer(self, request: dict[str, Any]) -> None:
        started = time.monotonic()
        talks = [request["messages"]] if request["op"] == "ask" else request["talks"]
        prompts = [self._prompt(talk) for talk in talks]
        sampling = self._sampling(float(request.get("temperature", 0.0)))
        most = int(request["max_new_tokens"])
        with self._speakers.speaking(str(request["model"])) as model:
            self._fits(model, prompts, most)
            made = self._streamed(model, prompts, most, sampling, stream=request["op"] == "ask")
        for one in made if request["op"] == "batch" else ():
            text = self._speakers.tokenizer.decode(one.ids).strip()
            self._say("answer", text=text, tokens=len(one.ids), ended=one.ended)
        tokens, ended = sum(len(one.ids) for one in made), all(one.ended for one in made)
        self._say("done", tokens=tokens, ended=ended, seconds=round(time.monotonic() - started, 3))

    def _prompt(self, talk: Any) -> list[int]:
        from compiler.data.sandbox import TemplateFault

        messages = [{"role": str(m["role"]), "content": str(m["content"])} for m in talk]
        try:
            return self._speakers.tokenizer.encode_prompt(messages)
        except TemplateFault as fault:
            raise Refusal(
                Diagnostic("X082", phrase("the chat template cannot write this conversation: {fault}", fault=fault))
            ) from fault

    @staticmethod
    def _sampling(temperature: float) -> dict[str, Any]:
        return {"do_sample": True, "temperature": temperature} if temperature > 0 else {}

    @staticmethod
    def _fits(model: Any, prompts: list[list[int]], most: int) -> None:
        positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        longest = max(map(len, prompts))
        if isinstance(positions, int) and longest + most > positions:
            message = phrase(
                "{longest} tokens and {most} to answer are more than the model's {positions} positions",
                longest=longest,
                most=most,
                positions=positions,
            )
            raise Refusal(
                Diagnostic("X083", message, help=phrase("begin anew (/reset in a chat), or lower --max-new-tokens"))
            )

    def _streamed(
        self, model: Any, prompts: list[list[int]], most: int, sampling: dict[str, Any], *, stream: bool
    ) -> list[Any]:
        from transformers import StoppingCriteria, StoppingCriteriaList

        from runtime.inference import generate

        server = self

        class Asked(StoppingCriteria):  # type: ignore[misc]
            """Ends an answer that nobody waits for any more."""

            def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
                import torch

                return torch.full((input_ids.shape[0],), server._stop, device=input_ids.device)

        extra: dict[str, Any] = {"stopping_criteria": StoppingCriteriaList([Asked()]), **sampling}
        if stream:
            extra["streamer"] = _Writer(self._speakers.tokenizer, lambda text: self._say("text", text=text))
        return generate(model, self._speakers.tokenizer, prompts, max_new_tokens=most, **extra)


class _Writer:
    """Transformers' streamer: hands on the text that new tokens make, never half a character."""

    def __init__(self, tokenizer: Any, write: Any) -> None:
        self._tokenizer = tokenizer
        self._write = write
        self._ids: list[int] | None = None  # the first tokens that come are the prompt's
        self._written = ""

    def put(self, value: Any) -> None:
        if self._ids is None:
            self._ids = []
            return
        self._ids += value.reshape(-1).tolist()
        self._tell(self._tokenizer.decode(self._ids))

    def end(self) -> None:
        self._tell(self._tokenizer.decode(self._ids or []), last=True)

    def _tell(self, text: str, *, last: bool = False) -> None:
        if (last or not text.endswith("\ufffd")) and text.startswith(self._written) and text != self._written:
            self._write(text[len(self._written) :])
            self._written = text


def main() -> None:
    """Entry point. What libraries print goes to standard error; the lines have standard output for themselves."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        server = Server([RunFolder(Path(argument)) for argument in sys.argv[1:]], out)
    except BaseException as error:
        problems = error.diagnostics if isinstance(error, Refusal) else (diagnose(error, Path()),)
        told = {"k": "error", "code": problems[0].code, "message": problems[0].message, "help": problems[0].help}
        out.write(json.dumps(told) + "\n")
        out.flush()
        os._exit(1)
    signal.signal(signal.SIGINT, lambda *_: server.stop())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGTERM])
    server.serve(sys.stdin)
    os._exit(0)


if __name__ == "__main__":
    main()
