"""Tables that the recipe language does not have, and values that stand where a table belongs."""

from __future__ import annotations

from typing import Any

from compiler.diagnostics import Diagnostic, Fix, KeyPath, Label, short
from compiler.language.shapes import Shape, header, names_of, shapes_of, tables
from compiler.language.toml_source import TomlDocument
from compiler.mending import edits
from compiler.phrases import phrase
from compiler.words.foreign import advice_on
from compiler.words.keys import Key, Unknown
from compiler.words.table_names import guess_table, table_meant
from compiler.words.values import kind_of, shown

MAIN_FIELD = {"model": "id", "data": "path", "adapter": "method", "training": "backend", "hardware": "device"}
"""The field that is meant when a table's name is given a plain value: ``model = "org/name"``."""


def unknown_table(document: TomlDocument, path: KeyPath, table: KeyPath, value: Any) -> Unknown:
    """Explain a table (or list of tables) at ``path`` of the document, which the language's ``table`` does not hold."""
    key = Key(document, path, table, value)
    repeated = _own_name(key)
    if repeated is not None:
        return repeated
    dotted = _dotted_elsewhere(key)
    if dotted is not None:
        return dotted
    quoted = table_meant(tuple(key.name.split("."))) if "." in key.name and not table else None
    meant, sure = (quoted, True) if quoted else guess_table(key.name, table)
    if meant is None:
        passed_on = _argument(key)
        return passed_on if passed_on is not None else _none_such(key)
    if isinstance(value, list) and len(value) > 1 and meant == ("data",):
        meant = ("data", "sources")
    if meant == ("adapter",) and _arguments_alone(key, ("adapter", "peft")):
        meant = ("adapter", "peft")
    wanted = header(meant)
    taken = key.given(meant)
    if taken and meant in document.positions.values and edits.is_implicit(document.positions, meant):
        taken = None  # only its inner tables are written
    fixes = _fixes(key, meant, sure=sure and taken is None) if taken is None else []
    certain = bool(fixes) and fixes[0].certain
    told = key.told(
        "R015",
        phrase("unknown table {written}", written=_written(key)),
        label=phrase("did you mean {wanted}?", wanted=wanted),
        help=phrase("move its keys below {wanted} and remove this header", wanted=wanted)
        if taken
        else phrase("write {wanted}", wanted=wanted),
        fixes=fixes,
        secondary=(Label(taken.span, phrase("{wanted} is here", wanted=wanted)),) if taken else (),
    )
    return Unknown(told, meant, certain)


def _arguments_alone(key: Key, home: KeyPath) -> bool:
    """Whether a table called like one of the language holds nothing but arguments that are passed on in ``home``."""
    from compiler.facts.signatures import signature

    names = key.value if isinstance(key.value, dict) else {}
    own = shapes_of(tables()[home[:-1]])
    return bool(names) and all(name in signature("AdaLoraConfig") and name not in own for name in names)


def _written(key: Key) -> str:
    name = header(key.path)
    return f"[{name}]" if isinstance(key.value, list) else name


def _none_such(key: Key) -> Unknown:
    children = shapes_of(tables()[key.table])
    names = [name for name, shape in children.items() if "dict" in shape.kinds or shape.table]
    allowed = ", ".join(header((*key.table, name)) for name in names)
    inside = header(key.table) if key.table else phrase("a recipe")
    told = key.told(
        "R015",
        phrase("unknown table {written}", written=_written(key)),
        label=phrase("no such table"),
        help=advice_on(key.name)
        or (
            phrase("allowed: {allowed}", allowed=allowed)
            if allowed
            else phrase("{inside} holds no tables, only keys", inside=inside)
        ),
    )
    return Unknown(told)


def _dotted_elsewhere(key: Key) -> Unknown | None:
    """``training.seed = 1`` below [data]: the full name of a field, which counts from the header above it."""
    positions = key.document.positions
    meant = (key.name,)
    inner = [path for path in positions.statements if path[: len(key.path)] == key.path]
    headed = any(path[: len(key.path)] == key.path for path in positions.headers)
    if not key.table or meant not in tables() or not inner or headed:
        return None
    fixes = [edits.move(key.document, path, path[len(key.table) : -1], str(path[-1])) for path in inner]
    above = header(key.table)
    told = key.told(
        "R015",
        phrase("`{name}.` below {above} means [{map}]", name=key.name, above=above, map=".".join(map(str, key.path))),
        label=phrase("names count from {above}", above=above),
        help=phrase("move it below {meant}, without `{name}.`", meant=header(meant), name=key.name),
        fixes=fixes,
    )
    return Unknown(told, meant, certain=None not in fixes)


def _own_name(key: Key) -> Unknown | None:
    """``training.seed = 1`` below [training]: the table's name is repeated before the dot."""
    if not key.table or key.name != key.table[-1] or key.path in key.document.positions.headers:
        return None
    positions = key.document.positions
    inner = [path for path in positions.statements if path[: len(key.path)] == key.path]
    if not inner or not isinstance(key.value, dict):
        return None
    fixes = []
    for path in inner:
        start, end = positions.statements[path]
        written = positions.text[start:end]
        name = ".".join(str(part) for part in path[len(key.path) :])
        if written.partition("=")[0].strip() == f"{key.name}.{name}":
            stop = start + written.index("=")
            gap = written[: written.index("=")]
            space = gap[len(gap.rstrip()) :]
            fixes.append(
                Fix(phrase("write `{name}`", name=name), positions.span((start, stop)), f"{name}{space}", certain=True)
            )
    told = key.told(
        "R015",
        phrase("`{name}.` is repeated: these keys stand in {table} already", name=key.name, table=header(key.table)),
        label=phrase("leave this part out"),
        help=phrase("below {table}, write the key alone", table=header(key.table)),
        fixes=fixes,
    )
    return Unknown(told, key.table, certain=len(fixes) == len(inner))


def _argument(key: Key) -> Unknown | None:
    """``[training.lr_scheduler_kwargs]``: an argument of TRL or PEFT whose value is a table."""
    from compiler.facts.signatures import signature
    from compiler.language.managed import advice_for

    for config, home in (("SFTConfig", ("training", "sft")), ("LoraConfig", ("adapter", "peft"))):
        if key.name not in signature(config) or advice_for(config, key.name):
            continue
        field = (*home, key.name)
        fix = edits.rewrite_header(key.document, key.path, f"[{'.'.join(field)}]", certain=key.table == home[:1])
        fix = fix or edits.move(key.document, key.path, home, key.name, certain=key.table == home[:1])
        told = key.told(
            "R013",
            phrase(
                "`{name}` belongs in {title}, not {table}",
                name=short(key.name),
                title=header(home),
                table=header(key.table) if key.table else phrase("here"),
            ),
            label=phrase("belongs in {home}", home=header(home)),
            help=phrase(
                "write it as [{field}], or as `{name} = {{ … }}` in {home}",
                field=".".join(field),
                name=key.name,
                home=header(home),
            ),
            fixes=[fix],
        )
        return Unknown(told, field, fix is not None and fix.certain)
    return None


def _fixes(key: Key, meant: KeyPath, *, sure: bool) -> list[Fix]:
    document, positions = key.document, key.document.positions
    wanted = header(meant)
    if isinstance(key.value, list):
        certain = sure and (len(key.value) == 1 or wanted.startswith("[["))
        headers = [path for path in positions.headers if path[: len(key.path)] == key.path]
        rewritten = (edits.rewrite_header(document, path, wanted, certain=certain) for path in headers)
        return [fix for fix in rewritten if fix is not None]
    below = [path for path in positions.headers if len(path) > len(key.path) and path[: len(key.path)] == key.path]
    as_list = wanted.startswith("[[")
    if meant[:-1] == key.table and not as_list:
        fixes = edits.rename_table(document, key.path, str(meant[-1]), certain=sure)
        return fixes or edits.rename_dotted(document, key.path, str(meant[-1]), certain=sure)
    fix = edits.rewrite_header(document, key.path, wanted, certain=sure)
    return [fix] if fix and not below else []


# --- something else where a table belongs ---------------------------------------------------------------


def list_for_table(document: TomlDocument, place: KeyPath, path: KeyPath, count: int) -> Diagnostic:
    """``[[data]]`` where the language has one ``[data]``."""
    wanted = header(path)
    positions = document.positions
    first = (*place, 0)
    fix = edits.rewrite_header(document, first, wanted, certain=count == 1)
    help_text = (
        phrase("write {wanted}", wanted=wanted)
        if count == 1
        else phrase("there is one {wanted}: put all of it below a single header", wanted=wanted)
    )
    if path == ("data",) and count > 1:
        help_text += phrase("; several sources are written as [[data.sources]]")
    stretch = positions.values.get(first) or positions.values.get(place)
    return Diagnostic(
        "R011",
        phrase("{wanted} is one table, not a list of {count}", wanted=wanted, count=count)
        if count > 1
        else phrase("{wanted} is one table, not a list", wanted=wanted),
        file=document.file,
        path=path,
        span=positions.span(stretch) if stretch else document.key_span(place),
        label=phrase("write {wanted}", wanted=wanted),
        help=help_text,
        fixes=(fix,) if fix else (),
    )


def table_for_list(document: TomlDocument, place: KeyPath, path: KeyPath) -> Diagnostic:
    """``[data.sources]`` where the language has a list ``[[data.sources]]``."""
    wanted = header(path)
    fix = edits.rewrite_header(document, place, wanted)
    span = document.value_span(place) or document.key_span(place)
    return Diagnostic(
        "R011",
        phrase("{wanted} is a list of tables: it has two brackets", wanted=wanted),
        file=document.file,
        path=path,
        span=span,
        label=phrase("write {wanted}", wanted=wanted),
        help=phrase("write {wanted}, once for each entry", wanted=wanted),
        fixes=(fix,) if fix else (),
    )


def texts_for_tables(document: TomlDocument, place: KeyPath, path: KeyPath, texts: list[str]) -> Diagnostic:
    """``sources = ["a.jsonl", "b.jsonl"]``."""
    main = next(name for name, shape in shapes_of(tables()[names_of(path)]).items() if shape.required)
    items = ", ".join(f"{{ {main} = {shown(text)} }}" for text in texts)
    fix = edits.replace_value(document, place, f"[{items}]")
    name = str(path[-1])
    return Diagnostic(
        "R011",
        phrase("`{name}` is a list of tables, not of texts", name=name),
        file=document.file,
        path=path,
        span=document.value_span(place),
        label=phrase("each entry is a table with `{main}`", main=main),
        help=phrase(
            "write {path} and {main} = {texts} below it, once for each entry",
            path=header(path),
            main=main,
            texts=shown(texts[0]),
        ),
        fixes=(fix,) if fix else (),
    )


def value_for_table(document: TomlDocument, place: KeyPath, path: KeyPath, value: Any) -> tuple[Diagnostic, str | None]:
    """``model = "org/name"``: the diagnostic, and the field of that table that the value is read as."""
    name, wanted = str(path[-1]), header(path)
    main = MAIN_FIELD.get(name) if isinstance(value, str) else None
    shape: Shape | None = shapes_of(tables()[path]).get(main) if main else None
    fits = shape is not None and (not shape.choices or value in shape.choices)
    if not fits:
        main = None
    fix = edits.move(document, place, path, main) if main and path not in document.positions.headers else None
    line = f"{main} = {shown(value)}" if main else ""
    told = Diagnostic(
        "R011",
        phrase("`{name}` is a table, not {kind_of}", name=name, kind_of=kind_of(value)),
        file=document.file,
        path=path,
        span=document.value_span(place) or document.key_span(place),
        label=phrase("belongs in {wanted}", wanted=wanted) if main else phrase("{wanted} is a table", wanted=wanted),
        help=phrase(
            "write {wanted} on a line of its own and {line} below it", wanted=wanted, line=line or phrase("its keys")
        ),
        fixes=(fix,) if fix else (),
    )
    return told, main
