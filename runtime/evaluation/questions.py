"""The questions of an evaluation, written down when the run starts: what is measured later is what was held out then.

One JSON object a line in ``evaluation/questions.jsonl``. A recipe may change after its run, its data may move: the
questions stay.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.acceptance.judging import Asked
from compiler.acceptance.questions import tags_of
from compiler.data.conversations import Conversation
from compiler.data.examples import Example
from compiler.data.identity import sources_of
from compiler.data.row import Row, RowFault
from compiler.data.rows import read_rows
from compiler.data.sources import SourceFault
from compiler.data.split import digest_of
from compiler.diagnostics import Diagnostic, Refusal
from compiler.files import write_atomically
from compiler.gather import Inputs
from compiler.phrases import phrase
from compiler.plan import Plan
from runtime.run_folder import RunFolder

MOST_ROWS = 2_000
"""Held-out rows that are kept, evenly over all of them."""

Prompt = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Question:
    """One question for both models.

    ``name`` tells people where it is from and is its own; ``prompt`` the conversation to continue, as ``prompt_ids``
    in the run's tokens; both empty for a row of plain text. ``ids`` and ``learnt`` are a held-out row as it would be
    trained on, for its loss. ``seen`` is a question that the model was trained on, which proves nothing.
    """

    name: str
    prompt: Prompt
    prompt_ids: list[int]
    expected: str | None = None
    tags: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    learnt: tuple[tuple[int, int], ...] = ()
    seen: bool = False

    @property
    def text(self) -> str:
        """What the user said last."""
        return next((m["content"] for m in reversed(self.prompt) if m["role"] == "user"), "")

    def asked(self) -> Asked:
        """The question as acceptance tests see it."""
        return Asked(self.text, self.expected, frozenset(self.tags), frozenset(self.tests))

    def as_json(self) -> dict[str, Any]:
        """One line of the file."""
        return {
            "name": self.name,
            "prompt": self.prompt,
            "prompt_ids": self.prompt_ids,
            "expected": self.expected,
            "tags": list(self.tags),
            "tests": list(self.tests),
            "ids": list(self.ids),
            "learnt": [list(stretch) for stretch in self.learnt],
            "seen": self.seen,
        }


def questions_file(run: RunFolder) -> Path:
    """Where the questions of a run stand."""
    return run.evaluation / "questions.jsonl"


def write_questions(run: RunFolder, plan: Plan, inputs: Inputs, root: Path) -> None:
    """Write down what the run will be measured on; ``root`` is the recipe's folder. Raises OSError or Refusal."""
    try:
        lines = [json.dumps(one.as_json(), ensure_ascii=False) + "\n" for one in questions_of(plan, inputs, root)]
    except SourceFault as fault:  # the rows were read a moment ago
        raise Refusal(fault.diagnostic) from fault
    write_atomically(questions_file(run), "".join(lines).encode("utf-8", "replace"))


def questions_of(plan: Plan, inputs: Inputs, root: Path) -> Iterator[Question]:
    """The held-out rows, then the recipe's own questions."""
    system = plan.setting("data.system").value
    before: Prompt = [{"role": "system", "content": system}] if system else []
    known = _Known(inputs)
    yield from _held_out(plan, inputs, known, root)
    own: list[tuple[str, int, str, str | None, tuple[str, ...], tuple[str, ...]]]
    own = [("questions", number, text, None, (), ()) for number, text in enumerate(plan.evaluation.questions, 1)]
    own += [
        ("questions_path", number, one.question, one.answer, tuple(one.tags), ())
        for number, one in enumerate(plan.evaluation.own_questions, 1)
    ]
    own += [
        (test.name, number, text, None, (), (test.name,))
        for test in plan.evaluation.acceptance
        for number, text in enumerate(test.questions, 1)
    ]
    for place, number, text, expected, tags, tests in own if inputs.tokenizer.has_chat_template else ():
        prompt = [*before, {"role": "user", "content": text}]
        yield Question(
            name=f"{place} {number}",
            prompt=prompt,
            prompt_ids=inputs.tokenizer.encode_prompt(prompt),
            expected=expected,
            tags=tags,
            tests=tests,
            seen=known.asked(prompt),
        )


class _Known:
    """The questions that are trained on."""

    def __init__(self, inputs: Inputs) -> None:
        train = inputs.data.train
        self._keys = {train.store.index.key(number) for number in train.numbers}

    def asked(self, prompt: Prompt) -> bool:
        """Whether a row that is trained on asks the same, but for case and white space."""
        talk = Conversation((*prompt, {"role": "assistant", "content": ""}))
        return digest_of(talk.key()) in self._keys

    def key(self, key: bytes) -> bool:
        """The same of a question's digest."""
        return key in self._keys


def _held_out(plan: Plan, inputs: Inputs, known: _Known, root: Path) -> Iterator[Question]:
    held_out = inputs.data.held_out
    step = max(1.0, len(held_out) / MOST_ROWS)
    chosen = sorted({int(at * step) for at in range(min(len(held_out), MOST_ROWS))})
    tags = _tags(plan, inputs, root, [held_out[at] for at in chosen])
    names = [file.path for file in inputs.data.inputs if file.role in {"data", "held-out"}]
    for at in chosen:
        example = held_out[at]
        prompt = [dict(message) for message in example.prompt]
        source = names[example.source] if example.source < len(names) else phrase("the data")
        yield Question(
            name=phrase("{file}, row {row}", file=example.place.file or source, row=example.row),
            prompt=prompt,
            prompt_ids=inputs.tokenizer.encode_prompt(prompt) if prompt else [],
            expected=example.answer or None,
            tags=tags.get((example.source, example.row), ()),
            ids=tuple(example.ids),
            learnt=example.learnt,
            seen=known.key(held_out.store.index.key(held_out.numbers[at])),
        )


def _tags(
    plan: Plan, inputs: Inputs, root: Path, examples: Iterable[Example]
) -> dict[tuple[int, int], tuple[str, ...]]:
    """The tags of held-out rows, read once more from their sources: only where a test chooses by them."""
    if not any(test.tags for test in plan.evaluation.acceptance):
        return {}
    wanted: dict[int, set[int]] = {}
    for example in examples:
        wanted.setdefault(example.source, set()).add(example.row)
    sources = sources_of(inputs.recipe, root, allow_outside=plan.allow_outside) or []
    found = {}
    for number, rows in wanted.items():
        if number >= len(sources):
            continue
        for place, row in read_rows(sources[number]):
            if place.row in rows and not isinstance(row, RowFault):
                found[number, place.row] = _row_tags(row)
    return found


def _row_tags(row: Row) -> tuple[str, ...]:
    return tags_of(row) or ()


def read_questions(run: RunFolder) -> list[Question]:
    """The questions of a run. Raises Refusal (X050) when they cannot be read."""
    try:
        lines = questions_file(run).read_text(encoding="utf-8").splitlines()
        return [_read(json.loads(line)) for line in lines if line.strip()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = phrase(
            "run {id} has no questions to be evaluated on ({name}: {error})",
            id=run.id,
            name=type(error).__name__,
            error=error,
        )
        help_text = phrase("train it again with `recipe run`: the questions are written down when a run starts")
        raise Refusal(Diagnostic("X050", message, help=help_text)) from error


def _read(line: dict[str, Any]) -> Question:
    return Question(
        name=str(line["name"]),
        prompt=[{"role": str(m["role"]), "content": str(m["content"])} for m in line["prompt"]],
        prompt_ids=[int(token) for token in line["prompt_ids"]],
        expected=line["expected"],
        tags=tuple(line["tags"]),
        tests=tuple(line["tests"]),
        ids=tuple(int(token) for token in line["ids"]),
        learnt=tuple((int(first), int(end)) for first, end in line["learnt"]),
        seen=bool(line["seen"]),
    )


def as_example(question: Question) -> Example:
    """The held-out row that a question is, with its labels."""
    from compiler.data.row import Place

    return Example(0, Place(0), array("i", question.ids), question.learnt)
