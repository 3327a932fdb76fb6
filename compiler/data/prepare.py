"""The data of a recipe, as the tokens that will train: read, told apart, split, tokenised, accounted for."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from compiler.data.audit import Audit, audit
from compiler.data.examples import Example, fingerprint
from compiler.data.findings import judge, judge_contents, judge_questions, judge_system, judge_texts, rows_in
from compiler.data.fitting import Fitting, Limit, find_limit
from compiler.data.identity import content_of
from compiler.data.kept import remember_audit, remembered_audit
from compiler.data.ledger import Ledger
from compiler.data.lengths import LengthSummary, summarize
from compiler.data.limits import limited
from compiler.data.obtain import Obtained, obtain
from compiler.data.prompt_template import load_prompt_template
from compiler.data.reading import TOLD_EVERY
from compiler.data.replay import FIELD, Earlier, Replayed, mark, with_replayed
from compiler.data.row_list import RowList
from compiler.data.split import DIGEST
from compiler.data.store import Examples
from compiler.data.tokenizer import ChatTokenizer
from compiler.diagnostics import Diagnostic, Severity, describe_os_error, has_errors
from compiler.language.recipe import Recipe
from compiler.phrases import joined, phrase
from compiler.plan import InputFile
from compiler.progress import Progress

__all__ = ["Example", "PreparedData", "prepare"]


class PreparedData(Struct, frozen=True):
    """Training and held-out examples in the order of the sources, and the story of every row."""

    train: Examples
    held_out: Examples
    max_length: int
    max_length_reason: str
    ledger: Ledger
    audit: Audit
    inputs: list[InputFile]
    format: str
    format_reason: str
    fingerprint: str
    lengths: LengthSummary
    replayed: Replayed | None = None


def prepare(
    recipe: Recipe,
    tokenizer: ChatTokenizer,
    *,
    root: Path,
    context_length: int,
    allow_outside: bool,
    progress: Progress | None = None,
    earlier: Earlier | None = None,
) -> tuple[PreparedData | None, list[Diagnostic]]:
    """Everything a run learns from, or the diagnostics that say why there is nothing.

    ``root`` is the recipe's folder; ``context_length`` the positions the model was trained for, 0 if unknown;
    ``earlier`` the run whose rows are replayed.
    """
    work, problems = _begin(
        recipe,
        tokenizer,
        root=root,
        context_length=context_length,
        allow_outside=allow_outside,
        progress=progress or (lambda *_: None),
        earlier=earlier,
    )
    if work is None:
        return None, problems
    data = None if has_errors(work.problems) else work.run()
    return (None if has_errors(work.problems) else data), work.problems


def _begin(
    recipe: Recipe,
    tokenizer: ChatTokenizer,
    *,
    root: Path,
    context_length: int,
    allow_outside: bool,
    progress: Progress,
    earlier: Earlier | None,
) -> tuple[_Preparation | None, list[Diagnostic]]:
    template, problems = None, list[Diagnostic]()
    if recipe.data.prompt_template:
        template, problems = load_prompt_template(recipe.data.prompt_template, root, allow_outside=allow_outside)
        if template is None:
            return None, problems
    rows = obtain(recipe, tokenizer, template, root, progress, allow_outside=allow_outside)
    found = [*problems, *rows.notes.problems]
    return _Preparation(recipe, tokenizer, context_length, progress, rows, found, earlier), found


class _Preparation(Struct):
    """From the examples of all rows to those that train; each stage leaves what the next one needs."""

    recipe: Recipe
    tokenizer: ChatTokenizer
    context_length: int
    progress: Progress
    rows: Obtained
    problems: list[Diagnostic]
    earlier: Earlier | None = None
    replayed: Replayed | None = None
    counted: dict[str, int] = field(default_factory=dict)
    """Rows of findings, by the names of their limits."""

    @property
    def ledger(self) -> Ledger:
        return self.rows.notes.ledger

    def run(self) -> PreparedData | None:
        learnt, measured = self._sides()
        if not learnt:
            self._nothing_left()
            return None
        self._judge_rows(len(learnt) + len(measured))
        known = _known_questions(learnt, measured) if self.recipe.data.held_out_path else RowList()
        learnt, measured = self._with_replayed(learnt, measured)
        if has_errors(self.problems):
            return None
        limit = self._limit(learnt, measured)
        learnt, measured = self._fitted(learnt, measured, limit)
        learnt = self._weighted(learnt)
        self.ledger.trained, self.ledger.held_out = len(learnt), len(measured)
        if not learnt and not has_errors(self.problems):
            self._nothing_left()
        if not self.ledger.adds_up():
            self._tell(
                "D060",
                phrase("the rows do not add up: {as_json}", as_json=self.ledger.as_json()),
                phrase("this is a fault of recipec"),
            )
        if has_errors(self.problems):
            return None
        return self._result(learnt, measured, limit, known)

    def trained_on(self) -> Examples:
        """The rows that a run of this recipe trains on, with nothing told of them."""
        learnt, measured = self._with_replayed(*self._sides())
        return self._weighted(self._fitted(learnt, measured, self._limit(learnt, measured))[0])

    def _limit(self, learnt: Examples, measured: Examples) -> Limit:
        asked = self.recipe.training
        return find_limit(asked.max_length, learnt, measured, self.context_length, share=asked.max_length_share)

    def _with_replayed(self, learnt: Examples, measured: Examples) -> tuple[Examples, Examples]:
        """Both sides, with rows of an earlier run among those that are learnt where the recipe asks for it."""
        earlier, share = self.earlier, self.recipe.data.replay
        if earlier is None or not share:
            return learnt, measured
        self.progress(phrase("reading the rows of {run}", run=earlier.name), 0, None)
        work, problems = _begin(
            earlier.recipe,
            self.tokenizer,
            root=earlier.root,
            context_length=self.context_length,
            allow_outside=earlier.allow_outside,
            progress=lambda *_: None,
            earlier=earlier.before,
        )
        old = work.trained_on() if work is not None and not has_errors(work.problems) else None
        wrong = [
            problem
            for problem in (work.problems if work is not None else problems)
            if problem.severity is Severity.ERROR
        ]
        if work is None or old is None or wrong:
            why = wrong[0].message if wrong else phrase("there are none")
            message = phrase(
                "the rows of {run} cannot be read as its run has read them: {why}", run=earlier.name, why=why
            )
            help_text = phrase("put the old files back, or leave replay out")
            self.problems.append(Diagnostic("D061", message, path=FIELD, help=help_text))
            return learnt, measured
        learnt, measured, self.replayed = with_replayed(
            learnt,
            measured,
            old,
            sources=work.rows.sources,
            name=earlier.name,
            share=share,
            seed=self.recipe.training.seed,
            ledger=self.ledger,
            before=len(self.rows.sources),
        )
        sources = [*self.rows.sources, *self.replayed.sources]
        self.rows = replace(self.rows, store=learnt.store, sources=sources)
        return learnt, measured

    def _tell(self, code: str, message: str, help_text: str) -> None:
        self.problems.append(Diagnostic(code, message, help=help_text))

    def _nothing_left(self) -> None:
        """That all rows went elsewhere, and where."""
        dropped = sorted(self.ledger.dropped.items())
        where = joined(", ", [phrase("{n} {reason}", n=len(rows), reason=phrase(reason)) for reason, rows in dropped])
        message = phrase("none of {rows} rows is left to train on", rows=self.ledger.rows)
        message += phrase(": {where}", where=where) if where else ""
        self._tell("D030", message, phrase("mend those rows, or add others"))

    def _sides(self) -> tuple[Examples, Examples]:
        """Training rows and held-out rows, by file or by a share of the questions."""
        store, holds_out = self.rows.store, self.rows.notes.split.chooser()
        learnt, measured = array("I"), array("I")
        held_out_sources = {n for n, source in enumerate(self.rows.sources) if "held_out_path" in source.field}
        keys = store.index.keys.tobytes()
        for number, source in enumerate(store.index.sources):
            key = keys[number * DIGEST : (number + 1) * DIGEST]
            (measured if source in held_out_sources or holds_out(key) else learnt).append(number)
        return Examples(store, learnt), Examples(store, measured, held_out=True)

    def _judge_rows(self, rows: int) -> None:
        """What was found in the rows while they were read and tokenised, against the recipe's limits."""
        notes, sources, limits = self.rows.notes, self.rows.sources, self.recipe.data.audit
        told = judge_system(self.tokenizer.control_token_in(self.recipe.data.system)) if notes.has_messages else []
        self.problems += [*told, *judge_contents(notes.contents, sources, limits)]
        self.problems += judge_texts(notes.masks, notes.control, sources, limits, rows=rows)
        self.counted |= notes.contents.counts()
        self.counted |= {"partly_learnt": rows_in(notes.masks), "control_tokens": rows_in(notes.control)}

    def _fitted(self, learnt: Examples, measured: Examples, limit: Limit) -> tuple[Examples, Examples]:
        work = Fitting(limit, self.recipe.training.on_too_long, self.rows.sources, self.ledger)
        rows = len(learnt) + len(measured)
        sides = work.fitted(learnt), work.fitted(measured)
        self.counted["cut"] = cut = self.ledger.truncated
        for problem in work.problems:
            most = self.recipe.data.audit.cut
            self.problems += limited([problem], most, count=cut, rows=rows) if problem.code == "D051" else [problem]
        return sides

    def _weighted(self, examples: Examples) -> Examples:
        """Training examples as often as their source's weight says."""
        if all(source.weight == 1.0 for source in self.recipe.data.sources):
            return examples
        index, sources = examples.store.index, self.rows.sources
        result = array("I")
        for number in examples.numbers:
            times = index.copies[number]
            if not times:
                self.ledger.drop(
                    phrase("not sampled (weight)"), sources[index.sources[number]].name, index.rows[number]
                )
            self.ledger.repeated += max(0, times - 1)
            result.extend([number] * times)
        return examples.of(result)

    # --- the result -----------------------------------------------------------------------------

    def _result(self, train: Examples, held_out: Examples, limit: Limit, known: RowList) -> PreparedData | None:
        found, of_all = self._audited(train, held_out, limit)
        found.elsewhere.update(self.counted, questions_in_train=len(set(known) - set(found.held_out_in_train)))
        sources, forms, limits = self.rows.sources, self.rows.notes.forms, self.recipe.data.audit
        self.problems += [*judge(found, sources, limits), *judge_questions(known, found, sources, limits)]
        try:
            inputs = self._inputs()
        except OSError as error:
            self.problems.append(
                describe_os_error(error, error.filename or phrase("the data"), doing=phrase("reading the data"))
            )
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
            fingerprint=of_all,
            lengths=summarize(train.lengths()),
            replayed=self.replayed,
        )

    def _audited(self, train: Examples, held_out: Examples, limit: Limit) -> tuple[Audit, str]:
        """The audit and the fingerprint of the examples, which take a look at every token."""
        folder = self.rows.folder
        name = f"audit-{limit.tokens}-{self.recipe.training.on_too_long}"
        name += mark(self.earlier, self.recipe.data.replay, self.recipe.training.seed)
        known = remembered_audit(folder, name) if folder is not None else None
        if known is not None:
            return known
        rows = _Counting(self.progress, 2 * (len(train) + len(held_out)))
        found = audit(rows.told(train), rows.told(held_out), self.tokenizer)
        of_all = fingerprint(rows.told(train), rows.told(held_out))
        if folder is not None:
            remember_audit(folder, name, found, of_all)
        return found, of_all

    def _inputs(self) -> list[InputFile]:
        inputs = []
        for source in self.rows.sources:
            if source.field == FIELD:  # the plan names them beside the adapter
                continue
            content = content_of(source)
            role = "held-out" if "held_out_path" in source.field else "data"
            inputs.append(InputFile(role=role, path=source.name, sha256=content.sha256, bytes=content.bytes))
        return inputs


class _Counting:
    """Tells how far several passes over the examples are."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def told(self, examples: Examples) -> Iterator[Example]:
        """The examples, counted as they go by."""
        for example in examples:
            yield example
            self._done += 1
            if self._done % TOLD_EVERY == 0 or self._done == self._total:
                self._progress(phrase("checking rows"), self._done, self._total)


def _known_questions(train: Examples, held_out: Examples) -> RowList:
    """Held-out rows whose question is trained on."""
    index = train.store.index
    asked = {index.key(number) for number in held_out.numbers if index.chats[number]}
    known = {key for number in train.numbers if index.chats[number] and (key := index.key(number)) in asked}
    found = RowList()
    for at, number in enumerate(held_out.numbers):
        if index.chats[number] and index.key(number) in known:
            example = held_out[at]
            found.append((example.source, example.place))
    return found
