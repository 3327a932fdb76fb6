"""The data of a recipe, as the tokens that will train: read, told apart, split, tokenised, accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from compiler.data.audit import Audit, audit, judge
from compiler.data.examples import Example, fingerprint, learns_something, make_example, shortened
from compiler.data.faults import FaultLog, RowFault
from compiler.data.formats import Conversation, Format, find_format, read_conversation, with_columns_of
from compiler.data.ledger import Ledger
from compiler.data.lengths import LengthSummary, summarize
from compiler.data.prompt_template import load_prompt_template
from compiler.data.rows import Row, Source, SourceFault, folder_sha256, open_source, read_rows, text_files
from compiler.data.split import copies, held_out_keys
from compiler.data.tokenizer import ChatTokenizer
from compiler.diagnostics import Diagnostic, Severity, describe_os_error, has_errors
from compiler.facts.hashes import sha256_file
from compiler.plan import InputFile
from compiler.recipe import Recipe

__all__ = ["Example", "PreparedData", "prepare"]

Progress = Callable[[str, int, int | None], None]

LOOKED_AT = 20
"""Rows whose columns together tell the format."""

TOLD_EVERY = 200


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


@dataclass(frozen=True, slots=True)
class _Item:
    source: int
    row: int
    conversation: Conversation


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
    work = _Preparation(recipe, tokenizer, root, context_length, allow_outside, progress or (lambda *_: None))
    data = work.run()
    return (None if has_errors(work.problems) else data), work.problems


@dataclass(slots=True)
class _Preparation:
    """One pass over the data; each stage leaves what the next one needs."""

    recipe: Recipe
    tokenizer: ChatTokenizer
    root: Path
    context_length: int
    allow_outside: bool
    progress: Progress
    problems: list[Diagnostic] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    sources: list[Source] = field(default_factory=list)
    forms: list[Format] = field(default_factory=list)
    mask_faults: Counter[str] = field(default_factory=Counter)

    def run(self) -> PreparedData | None:
        train, held_out = self._read_all()
        if has_errors(self.problems):
            return None
        train, held_out = self._sides(train, held_out)
        if not train:
            self._tell("D030", "no row is left to train on", "see the ledger of dropped rows, or add rows")
            return None
        learnt, measured = self._tokenise(train, held_out)
        if has_errors(self.problems):
            return None
        max_length, reason = self._max_length([*learnt, *measured])
        learnt, measured = self._fitted(learnt, max_length), self._fitted(measured, max_length)
        learnt = self._weighted(learnt)
        self.ledger.trained, self.ledger.held_out = len(learnt), len(measured)
        if not learnt and not has_errors(self.problems):
            self._tell("D030", "no row is left to train on", f"every row is longer than max_length {max_length}")
        if not self.ledger.adds_up():
            self._tell("D060", f"the rows do not add up: {self.ledger.as_json()}", "this is a fault of recipec")
        if has_errors(self.problems):
            return None
        return self._result(learnt, measured, max_length, reason)

    def _tell(self, code: str, message: str, help_text: str, severity: Severity = Severity.ERROR) -> None:
        self.problems.append(Diagnostic(code, message, severity=severity, help=help_text))

    # --- reading --------------------------------------------------------------------------------

    def _read_all(self) -> tuple[list[_Item], list[_Item]]:
        data = self.recipe.data
        prompt_of = None
        if data.prompt_template:
            prompt_of, problems = load_prompt_template(
                data.prompt_template, self.root, allow_outside=self.allow_outside
            )
            self.problems += problems
            if prompt_of is None:
                return [], []
        names = [source.path for source in data.sources] or [data.path]
        train = [item for name in names for item in self._read(name, prompt_of)]
        held_out = list(self._read(data.held_out_path, prompt_of)) if data.held_out_path else []
        return self._first_rows(train), held_out

    def _read(self, name: str, prompt_of: Callable[[Row], str] | None) -> Iterator[_Item]:
        source, problems = open_source(name, self.root, allow_outside=self.allow_outside)
        self.problems += problems
        if source is None:
            return
        number = len(self.sources)
        self.sources.append(source)
        faults = FaultLog()
        count = 0
        try:
            form = self._format(source)
            if form is not None:
                for row_number, row in read_rows(source):
                    count += 1
                    if count % TOLD_EVERY == 0:
                        self.progress(f"reading {name}", count, None)
                    try:
                        if isinstance(row, RowFault):
                            raise row
                        conversation = read_conversation(row, form, self.recipe.data.system, prompt_of)
                    except RowFault as fault:
                        faults.add(name, row_number, fault)
                        self.ledger.drop(fault.reason, name, row_number)
                        continue
                    yield _Item(number, row_number, conversation)
        except SourceFault as fault:
            self.problems.append(fault.diagnostic)
        self.ledger.sources.append((name, count))
        self._tell_faults(faults)

    def _tell_faults(self, faults: FaultLog) -> None:
        """Bad rows stop the compile, or are counted and told as warnings: ``[data] on_bad_row``."""
        drop = self.recipe.data.on_bad_row == "drop"
        self.problems += faults.diagnostics(severity=Severity.WARNING if drop else Severity.ERROR)

    def _format(self, source: Source) -> Format | None:
        """The format of a source's rows, told by its first good ones together. Raises SourceFault."""
        data = self.recipe.data
        seen: Row = {}
        first_fault: RowFault | None = None
        good = 0
        for _, row in read_rows(source):
            if isinstance(row, RowFault):
                first_fault = first_fault or row
                continue
            seen = with_columns_of(seen, row)
            good += 1
            if good >= LOOKED_AT:
                break
        if not seen:
            if first_fault is None:
                raise SourceFault(Diagnostic("D007", f"{source.name} holds no rows", help="put rows into it"))
            return Format("prompt-completion", {"prompt": "", "completion": ""}, "no row could be read")
        if source.kind in {"text", "folder"}:
            form: Format | None = Format("text", {"text": "text"}, "the source is plain text")
            problems: list[Diagnostic] = []
        else:
            form, problems = find_format(seen, data.columns, data.format, templated=bool(data.prompt_template))
        self.problems += [_about(problem, source.name) for problem in problems]
        if form is not None:
            self.forms.append(form)
        return form

    def _first_rows(self, items: list[_Item]) -> list[_Item]:
        most = self.recipe.data.max_rows
        if most is None:
            return items
        for item in items[most:]:
            self.ledger.drop("beyond max_rows", self.sources[item.source].name, item.row)
        return items[:most]

    # --- splitting ------------------------------------------------------------------------------

    def _sides(self, train: list[_Item], held_out: list[_Item]) -> tuple[list[_Item], list[_Item]]:
        data = self.recipe.data
        if data.held_out_path:
            return train, held_out
        keys = held_out_keys({item.conversation.key() for item in train}, data.held_out_share)
        sides: tuple[list[_Item], list[_Item]] = ([], [])
        for item in train:
            sides[item.conversation.key() in keys].append(item)
        return sides

    def _weighted(self, examples: list[Example]) -> list[Example]:
        """Training examples as often as their source's weight says."""
        weights = [source.weight for source in self.recipe.data.sources]
        if all(weight == 1.0 for weight in weights):
            return examples
        result = []
        for example in examples:
            times = copies(weights[example.source], f"{example.prompt}{example.answer}")
            if not times:
                self.ledger.drop("not sampled (weight)", self.sources[example.source].name, example.row)
            self.ledger.repeated += max(0, times - 1)
            result += [example] * times
        return result

    # --- tokens ---------------------------------------------------------------------------------

    def _tokenise(self, train: list[_Item], held_out: list[_Item]) -> tuple[list[Example], list[Example]]:
        conversations = any(item.conversation.messages for item in (*train[:1], *held_out[:1]))
        if conversations and not self.tokenizer.has_chat_template:
            self._tell(
                "M030",
                "the model has no chat template, so a conversation cannot be written for it",
                "take the model's instruction-tuned version, or name a Jinja2 file in [model] chat_template",
            )
            return [], []
        total = len(train) + len(held_out)
        faults = FaultLog()
        done = 0
        sides: list[list[Example]] = []
        for side in (train, held_out):
            examples = []
            for item in side:
                done += 1
                if done % TOLD_EVERY == 0 or done == total:
                    self.progress("tokenising rows", done, total)
                example = self._example(item, faults)
                if example is not None:
                    examples.append(example)
            sides.append(examples)
        self._tell_faults(faults)
        for text, count in self.mask_faults.items():
            message = f"{text} ({count} row{'s' if count != 1 else ''})"
            self._tell("D043", message, "see the mask with `recipe compile` and its audit", Severity.WARNING)
        return sides[0], sides[1]

    def _example(self, item: _Item, faults: FaultLog) -> Example | None:
        try:
            example, unmasked = make_example(
                self.tokenizer,
                item.conversation,
                source=item.source,
                row=item.row,
                answers_only=self.recipe.training.completion_only_loss,
            )
        except RowFault as fault:
            name = self.sources[item.source].name
            faults.add(name, item.row, fault)
            self.ledger.drop(fault.reason, name, item.row)
            return None
        self.mask_faults.update(unmasked)
        return example

    def _max_length(self, examples: list[Example]) -> tuple[int, str]:
        asked = self.recipe.training.max_length
        if asked != "auto":
            return asked, "set by the recipe"
        longest = max((len(example.ids) for example in examples), default=16)
        if self.context_length and longest > self.context_length:
            return self.context_length, f"the model's context; the longest row has {longest} tokens"
        return max(16, longest), "the longest row, so that nothing is cut"

    def _fitted(self, examples: list[Example], max_length: int) -> list[Example]:
        """What ``on_too_long`` leaves of the examples."""
        policy = self.recipe.training.on_too_long
        kept = []
        faults = FaultLog()
        for example in examples:
            length = len(example.ids)
            name = self.sources[example.source].name
            if length <= max_length:
                kept.append(example)
                continue
            short = shortened(example, max_length)
            if policy == "truncate" and learns_something(short):
                self.ledger.truncated += 1
                kept.append(short)
                continue
            reason = "longer than max_length" if policy != "truncate" else "no answer left after truncation"
            message = f"{length} tokens, {length - max_length} more than max_length {max_length}"
            faults.add(name, example.row, RowFault("D050", message, reason, help_text=_TOO_LONG))
            self.ledger.drop(reason, name, example.row)
        severity = Severity.ERROR if policy == "fail" else Severity.WARNING
        self.problems += faults.diagnostics(severity=severity)
        return kept

    # --- the result -----------------------------------------------------------------------------

    def _result(
        self, train: list[Example], held_out: list[Example], max_length: int, reason: str
    ) -> PreparedData | None:
        found = audit(train, held_out, self.tokenizer)
        self.problems += judge(found)
        if self.ledger.truncated:
            message = f"{self.ledger.truncated} rows are cut at max_length {max_length} and lose their end"
            self._tell("D051", message, _TOO_LONG, Severity.WARNING)
        try:
            inputs = self._inputs()
        except OSError as error:
            self.problems.append(describe_os_error(error, error.filename or "the data", doing="reading the data"))
            return None
        forms = list(dict.fromkeys(form.name for form in self.forms))
        return PreparedData(
            train=train,
            held_out=held_out,
            max_length=max_length,
            max_length_reason=reason,
            ledger=self.ledger,
            audit=found,
            inputs=inputs,
            format=" + ".join(forms),
            format_reason=self.forms[0].reason,
            fingerprint=fingerprint(train, held_out),
            lengths=summarize([len(example.ids) for example in train]),
        )

    def _inputs(self) -> list[InputFile]:
        held_out = self.recipe.data.held_out_path
        inputs = []
        for number, source in enumerate(self.sources):
            last = bool(held_out) and number == len(self.sources) - 1
            folder = source.kind == "folder"
            files = text_files(source.path) if folder else [source.path]
            inputs.append(
                InputFile(
                    role="held-out" if last else "data",
                    path=source.name,
                    sha256=folder_sha256(source.path) if folder else sha256_file(source.path),
                    bytes=sum(file.stat().st_size for file in files),
                )
            )
        return inputs


_TOO_LONG = "raise max_length, shorten the rows, or choose another on_too_long in [training]"


def _about(problem: Diagnostic, source: str) -> Diagnostic:
    """A problem with a source's columns, with the source's name in front."""
    import dataclasses

    return dataclasses.replace(problem, message=f"{source}: {problem.message}")
