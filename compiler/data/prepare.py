"""The data of a recipe, as the tokens that will train: read, told apart, split, tokenised, accounted for."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from compiler.data.audit import Audit, audit
from compiler.data.conversations import Conversation
from compiler.data.examples import Example, fingerprint
from compiler.data.findings import judge, judge_contents, judge_questions, judge_system, judge_texts, rows_in
from compiler.data.fitting import Fitting, Limit, find_limit
from compiler.data.ledger import Ledger
from compiler.data.lengths import LengthSummary, summarize
from compiler.data.limits import limited
from compiler.data.reading import Item, SourceReading
from compiler.data.row import RowsOf
from compiler.data.split import held_out_keys
from compiler.data.text_audit import audit_texts
from compiler.data.text_files import folder_sha256, text_files
from compiler.data.tokenising import Tokenising
from compiler.data.tokenizer import ChatTokenizer
from compiler.diagnostics import Diagnostic, describe_os_error, has_errors
from compiler.facts.hashes import sha256_file
from compiler.language.recipe import Recipe
from compiler.plan import InputFile
from compiler.progress import Progress

__all__ = ["Example", "PreparedData", "prepare"]


@dataclass(frozen=True, slots=True)
class PreparedData:
    """Training and held-out examples in the order of the sources, and the story of every row."""

    train: list[Example]
    held_out: list[Example]
    max_length: int
    max_length_reason: str
    ledger: Ledger
    audit: Audit
    inputs: list[InputFile]
    format: str
    format_reason: str
    fingerprint: str
    lengths: LengthSummary


def prepare(
    recipe: Recipe,
    tokenizer: ChatTokenizer,
    *,
    root: Path,
    context_length: int,
    allow_outside: bool,
    progress: Progress | None = None,
) -> tuple[PreparedData | None, list[Diagnostic]]:
    """Everything a run learns from, or the diagnostics that say why there is nothing.

    ``root`` is the recipe's folder; ``context_length`` the positions the model was trained for, 0 if unknown.
    """
    progress = progress or (lambda *_: None)
    ledger = Ledger()
    reading = SourceReading(recipe.data, root, allow_outside, progress, ledger)
    work = _Preparation(recipe, tokenizer, context_length, progress, reading, ledger)
    data = work.run()
    return (None if has_errors(work.problems) else data), work.problems


@dataclass(slots=True)
class _Preparation:
    """One pass over the data; each stage leaves what the next one needs."""

    recipe: Recipe
    tokenizer: ChatTokenizer
    context_length: int
    progress: Progress
    reading: SourceReading
    ledger: Ledger
    problems: list[Diagnostic] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)
    """Rows of findings, by the names of their limits."""

    def run(self) -> PreparedData | None:
        train, held_out = self.reading.read_all()
        self.problems += self.reading.problems
        if has_errors(self.problems):
            return None
        train, held_out = self._sides(train, held_out)
        if not train:
            self._nothing_left()
            return None
        known = _known_questions(train, held_out) if self.recipe.data.held_out_path else []
        self._look_at_texts(train, held_out)
        learnt, measured = self._tokenised(train, held_out)
        if has_errors(self.problems):
            return None
        limit = find_limit(self.recipe.training.max_length, learnt, measured, self.context_length)
        learnt, measured = self._fitted(learnt, measured, limit)
        learnt = self._weighted(learnt)
        self.ledger.trained, self.ledger.held_out = len(learnt), len(measured)
        if not learnt and not has_errors(self.problems):
            self._nothing_left()
        if not self.ledger.adds_up():
            self._tell("D060", f"the rows do not add up: {self.ledger.as_json()}", "this is a fault of recipec")
        if has_errors(self.problems):
            return None
        return self._result(learnt, measured, limit, known)

    def _tell(self, code: str, message: str, help_text: str) -> None:
        self.problems.append(Diagnostic(code, message, help=help_text))

    def _nothing_left(self) -> None:
        """That all rows went elsewhere, and where."""
        where = ", ".join(f"{len(rows)} {reason}" for reason, rows in sorted(self.ledger.dropped.items()))
        message = f"none of {self.ledger.rows} rows is left to train on" + (f": {where}" if where else "")
        self._tell("D030", message, "mend those rows, or add others")

    def _sides(self, train: list[Item], held_out: list[Item]) -> tuple[list[Item], list[Item]]:
        """Training rows and held-out rows, by file or by a share of the questions."""
        data = self.recipe.data
        if data.held_out_path:
            return train, held_out
        keys = held_out_keys({item.conversation.key() for item in train}, data.held_out_share)
        if not keys:
            return train, []
        sides: tuple[list[Item], list[Item]] = ([], [])
        for item in train:
            sides[item.conversation.key() in keys].append(item)
        train.clear()  # what is on a side is held there alone, and let go once it is tokenised
        return sides

    def _look_at_texts(self, train: list[Item], held_out: list[Item]) -> None:
        recipe = self.recipe
        names = [source.name for source in self.reading.sources]
        found = audit_texts(train, held_out, names, language=recipe.recipe.language, system=recipe.data.system)
        self.counted |= found.counts()
        self.problems += judge_contents(found, self.reading.sources, recipe.data.audit)

    def _tokenised(self, train: list[Item], held_out: list[Item]) -> tuple[list[Example], list[Example]]:
        conversations = any(item.conversation.messages for item in (*train[:1], *held_out[:1]))
        if conversations and not self.tokenizer.has_chat_template:
            self._tell(
                "M030",
                "the model has no chat template, so a conversation cannot be written for it",
                "take the model's instruction-tuned version, or name a Jinja2 file in [model] chat_template",
            )
            return [], []
        sources, limits = self.reading.sources, self.recipe.data.audit
        work = Tokenising(self.recipe, self.tokenizer, sources, self.ledger, self.progress)
        rows = len(train) + len(held_out)
        sides = work.tokenise(train, held_out)
        told = judge_system(self.tokenizer.control_token_in(self.recipe.data.system)) if conversations else []
        self.problems += [*work.problems, *told, *judge_texts(work.masks, work.control, sources, limits, rows=rows)]
        self.counted |= {"partly_learnt": rows_in(work.masks), "control_tokens": rows_in(work.control)}
        return sides

    def _fitted(
        self, learnt: list[Example], measured: list[Example], limit: Limit
    ) -> tuple[list[Example], list[Example]]:
        work = Fitting(limit, self.recipe.training.on_too_long, self.reading.sources, self.ledger)
        rows = len(learnt) + len(measured)
        sides = work.fitted(learnt), work.fitted(measured)
        self.counted["cut"] = cut = self.ledger.truncated
        for problem in work.problems:
            most = self.recipe.data.audit.cut
            self.problems += limited([problem], most, count=cut, rows=rows) if problem.code == "D051" else [problem]
        return sides

    def _weighted(self, examples: list[Example]) -> list[Example]:
        """Training examples as often as their source's weight says."""
        if all(source.weight == 1.0 for source in self.recipe.data.sources):
            return examples
        result = []
        for example in examples:
            if not example.copies:
                name = self.reading.sources[example.source].name
                self.ledger.drop("not sampled (weight)", name, example.row)
            self.ledger.repeated += max(0, example.copies - 1)
            result += [example] * example.copies
        return result

    # --- the result -----------------------------------------------------------------------------

    def _result(
        self, train: list[Example], held_out: list[Example], limit: Limit, known: RowsOf
    ) -> PreparedData | None:
        found = audit(train, held_out, self.tokenizer)
        found.elsewhere.update(self.counted, questions_in_train=len(set(known) - set(found.held_out_in_train)))
        sources, forms, limits = self.reading.sources, self.reading.forms, self.recipe.data.audit
        self.problems += [*judge(found, sources, limits), *judge_questions(known, found, sources, limits)]
        try:
            inputs = self._inputs()
        except OSError as error:
            self.problems.append(describe_os_error(error, error.filename or "the data", doing="reading the data"))
            return None
        return PreparedData(
            train=train,
            held_out=held_out,
            max_length=limit.tokens,
            max_length_reason=limit.reason,
            ledger=self.ledger,
            audit=found,
            inputs=inputs,
            format=" + ".join(dict.fromkeys(form.name for form in forms)),
            format_reason="; ".join(dict.fromkeys(form.reason for form in forms)),
            fingerprint=fingerprint(train, held_out),
            lengths=summarize([len(example.ids) for example in train]),
        )

    def _inputs(self) -> list[InputFile]:
        inputs = []
        for source in self.reading.sources:
            folder = source.kind == "folder"
            files = text_files(source.path) if folder else [source.path]
            inputs.append(
                InputFile(
                    role="held-out" if "held_out_path" in source.field else "data",
                    path=source.name,
                    sha256=folder_sha256(source.path) if folder else sha256_file(source.path),
                    bytes=sum(file.stat().st_size for file in files),
                )
            )
        return inputs


def _known_questions(train: list[Item], held_out: list[Item]) -> RowsOf:
    """Held-out rows whose question is trained on."""
    known = {_digest(item.conversation) for item in train if item.conversation.messages}
    asked = (item for item in held_out if item.conversation.messages)
    return [(item.source, item.place) for item in asked if _digest(item.conversation) in known]


def _digest(conversation: Conversation) -> bytes:
    return blake2b(conversation.key().encode("utf-8", "surrogatepass"), digest_size=16).digest()
