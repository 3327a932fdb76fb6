"""The end of the audit of texts: who is held out, and the few rows that may be near repeats, read once more."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from compiler.data.batch import Batch, in_batches
from compiler.data.reading import SourceReading
from compiler.data.row import RowFault
from compiler.data.rows import raw_rows
from compiler.data.sources import SourceFault
from compiler.data.split import DIGEST
from compiler.data.text_audit import TextFindings, TextOf, TextPlace
from compiler.data.tokenising import Tokenising
from compiler.phrases import phrase


def finish_texts(reading: SourceReading, tokenising: Tokenising) -> TextFindings:
    """What the texts of all rows told, once all are read."""
    if not reading.data.held_out_path:
        reading.texts.hold_out(_held_out(reading))
    reading.progress(phrase("comparing rows"), 0, None)
    names = [source.name for source in reading.sources]
    return reading.texts.finish(lambda wanted: _again(reading, tokenising, wanted), names)


def _held_out(reading: SourceReading) -> Iterator[TextPlace]:
    index, holds_out = reading.store.index, reading.notes.split.chooser()
    keys = index.keys.tobytes()
    for number, (source, row) in enumerate(zip(index.sources, index.rows, strict=True)):
        if holds_out(keys[number * DIGEST : (number + 1) * DIGEST]):
            yield source, row


def _again(reading: SourceReading, tokenising: Tokenising, wanted: Collection[TextPlace]) -> Iterator[TextOf]:
    for number, (source, (form, columns)) in enumerate(zip(reading.sources, reading.read_as, strict=True)):
        if all(place[0] != number for place in wanted):
            continue
        rows = ((place, row) for place, row in raw_rows(source) if (number, place.row) in wanted)
        try:
            for some in in_batches(rows):
                batch = Batch(number, source.name, form, columns, held_out=False, most=None, rows=some)
                for place, said in tokenising.conversations(batch):
                    if not isinstance(said, RowFault):
                        yield number, place, said
        except SourceFault:  # someone took it away meanwhile: nothing more is known of its rows
            continue
