"""Rows out of Parquet files, through pyarrow, which the light install does not bring."""

from __future__ import annotations

from collections import Counter

from compiler.data.disguises import looks_like
from compiler.data.row import Place, RowsRead
from compiler.data.sources import Source, source_fault
from compiler.phrases import phrase

ROWS_AT_ONCE = 256


def parquet_rows(source: Source) -> RowsRead:
    """The rows of a Parquet file; they have no lines. Raises SourceFault and OSError."""
    with source.path.open("rb") as stream:
        head = stream.read(64)
    what = looks_like(head)
    if what is not None and not head.startswith(b"PAR1"):
        help_text = phrase("give it the ending of what it is, or write it as Parquet")
        raise source_fault(
            source, "D004", phrase("{name} is {what}, whatever its name says", name=source.name, what=what), help_text
        )
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        message = phrase("{name}: reading Parquet needs the package pyarrow", name=source.name)
        raise source_fault(source, "D008", message, "pip install 'recipec[parquet]'") from error
    try:
        number = 0
        with pyarrow.parquet.ParquetFile(source.path) as file:
            twice = [name for name, times in Counter(file.schema_arrow.names).items() if times > 1]
            if twice:
                message = phrase("{name}: the column {twice!r} is there twice", name=source.name, twice=twice[0])
                raise source_fault(source, "D004", message, phrase("rename one of the two"))
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
                for row in batch.to_pylist():
                    number += 1
                    yield Place(number), row
    except (pyarrow.ArrowException, ValueError, OverflowError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the disk's fault; pyarrow's own for damaged pages have no number
        reason = (str(error).splitlines() or [""])[0][:200]
        message = phrase("{name} cannot be read as Parquet: {reason}", name=source.name, reason=reason)
        raise source_fault(source, "D004", message, phrase("write or download the file again")) from error
