"""The examples of a recipe's rows: found again in the cache, or made on as many cores as pays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from compiler.data import kept
from compiler.data.identity import identity, size_of, sources_of
from compiler.data.ledger import Ledger
from compiler.data.notes import Notes
from compiler.data.prompt_template import PromptTemplate
from compiler.data.reading import Run, SourceReading
from compiler.data.second_look import finish_texts
from compiler.data.sources import Source
from compiler.data.split import Split
from compiler.data.spool import Spool
from compiler.data.store import Index, Store
from compiler.data.text_audit import TextAudit
from compiler.data.tokenising import Tokenising
from compiler.data.tokenizer import ChatTokenizer
from compiler.diagnostics import has_errors
from compiler.language.recipe import Recipe
from compiler.progress import Progress


class Obtained(Struct, frozen=True):
    """Examples of both sides, what is known of the rows, and the folder of the cache that has them, if any."""

    store: Store
    notes: Notes
    sources: list[Source]
    folder: Path | None


def obtain(
    recipe: Recipe,
    tokenizer: ChatTokenizer,
    template: PromptTemplate | None,
    root: Path,
    progress: Progress,
    *,
    allow_outside: bool,
) -> Obtained:
    """The examples of all rows. Where ``notes.problems`` has an error they are not complete."""
    sources = sources_of(recipe, root, allow_outside=allow_outside) or []
    size = _size(sources)
    key = identity(recipe, tokenizer, template, sources) if size >= kept.WORTH_BYTES else None
    found = kept.find(key) if key is not None else None
    if found is not None:
        return Obtained(found.store, found.notes, sources, found.folder)
    writing = kept.begin(key) if key is not None else None
    ids, texts = (Spool(writing.path(name) if writing is not None else None) for name in ("ids", "texts"))
    notes = Notes(Ledger(), Split(0.0 if recipe.data.held_out_path else recipe.data.held_out_share))
    look = TextAudit(recipe.recipe.language, recipe.data.system)
    reading = SourceReading(recipe.data, root, allow_outside, progress, notes, Store(Index(), ids, texts), look)
    tokenising = Tokenising(recipe, tokenizer, template)
    folder = None
    try:
        with _tokenisers(recipe, tokenising, size) as run:
            reading.read_all(run)
        if not has_errors(notes.problems):
            notes.contents = finish_texts(reading, tokenising)
        whole = not has_errors(notes.problems)
        if writing is not None and whole and identity(recipe, tokenizer, template, sources) == key:
            folder = writing.finish(reading.store, notes)  # nobody wrote into the sources meanwhile
    finally:
        if writing is not None:
            writing.discard()
    return Obtained(reading.store, notes, reading.sources, folder)


def _size(sources: list[Source]) -> int:
    try:
        return sum(map(size_of, sources))
    except OSError:  # it is told when the source is read
        return 0


@contextmanager
def _tokenisers(recipe: Recipe, tokenising: Tokenising, size: int) -> Iterator[Run]:
    """What turns batches into examples: this process, or several where there is enough to do.

    With ``max_rows`` each batch depends on how much became of those before it, so that nothing can be ahead.
    """
    from compiler.data import workers  # subprocesses and threads: only for what is large

    number = min(workers.cores(), workers.MOST_WORKERS)
    if size < workers.WORTH_BYTES or number < 2 or recipe.data.max_rows is not None:
        yield lambda batches: map(tokenising.tokenise, batches)
        return
    with workers.Workers(tokenising, number) as several:
        yield several.run
