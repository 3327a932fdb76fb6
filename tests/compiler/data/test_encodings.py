"""Encodings: a broken row is a row's fault, another encoding the file's, and a wrong one is never advised."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.encodings import LOOKED_AT, sure_of_encoding, text_not_utf8, utf_16_or_32
from compiler.data.sources import Source, SourceFault
from compiler.diagnostics import Diagnostic

SOURCE = Source("my rows.csv", Path("my rows.csv"), "csv")

LANGUAGES = {
    "French": "Où est l'œuvre d'été ? Là-bas, « naïf » cœur, ça coûte 10 €… C’est déjà prêt, créé à Noël.",
    "German": "Größe, Übermaß und Ärger: „schön“ sagte er – 20 °C, 3 m². Öffnen Sie die Tür für Jörg.",
    "Spanish": "¿Cómo está usted? ¡Mañana será otro día! El niño comió piñas, pingüino.",
    "Portuguese": "Não há razões; são as opções dos cidadãos. É às três, você não vê?",
    "Italian": "Perché è così? La città è più grande, però l'università è già là.",
    "Swedish": "Åsa åt köttbullar i Öresund på våren. Är det så?",
}
ELSEWHERE = {
    "cp1250": "Żółć gęślą jaźń, zażółć. Příliš žluťoučký kůň. Az őrült űrhajós fölött árvíztűrő.",
    "cp1251": "Привет, как дела? Хорошо, спасибо. Это юридический вопрос.",
    "cp1253": "Καλημέρα, τι κάνετε; Είμαι καλά, ευχαριστώ πολύ.",
    "cp1254": "Kısa bir soru: değişiklik yapılmış mı? Şöyle ki, güneş ışığı.",
    "mac-roman": "Où est l'été ? Là-bas, ça coûte cher. Le congé a été refusé.",
    "cp850": "Où est l'été ? Là-bas, ça coûte cher. Le congé a été refusé.",
    "shift_jis": "日本語の質問です。答えてください。",
}


def refusal(data: bytes, *, header: bool = False) -> Diagnostic:
    with pytest.raises(SourceFault) as told:
        sure_of_encoding(SOURCE, data, header=header)
    assert told.value.diagnostic.code == "D003"
    return told.value.diagnostic


def advised(problem: Diagnostic) -> str | None:
    """The encoding that the remedy names."""
    found = re.search(r"iconv -f (\S+) -t UTF-8 'my rows.csv' > 'my rows-utf8.csv'", problem.help or "")
    return found[1] if found else None


@pytest.mark.parametrize("language", LANGUAGES)
def test_western_text_of_windows_is_told_and_the_advice_gives_the_text(language: str) -> None:
    text = f"question;answer\n{LANGUAGES[language]};ok\n" * 3
    problem = refusal(text.encode("cp1252"))
    assert advised(problem) == "WINDOWS-1252"
    assert problem.span is not None
    first = next(i for i, sign in enumerate(text) if not sign.isascii())
    assert problem.span.line == text.count("\n", 0, first) + 1
    assert problem.span.column == first - text.rfind("\n", 0, first)


@pytest.mark.parametrize("encoding", ELSEWHERE)
def test_what_is_not_certain_is_not_guessed(encoding: str) -> None:
    problem = refusal((f"question;answer\n{ELSEWHERE[encoding]};ok\n" * 3).encode(encoding))
    assert advised(problem) is None
    assert "not known" in (problem.help or "")


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-16", "UTF-16"),
        ("utf-32", "UTF-32"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
    ],
)
def test_two_bytes_a_character_are_told_with_or_without_a_mark(encoding: str, name: str) -> None:
    data = LANGUAGES["French"].encode(encoding)
    assert advised(refusal(data)) == name
    fault = utf_16_or_32(data)
    assert fault is not None
    assert name in fault.message


@given(st.lists(st.sampled_from(list(LANGUAGES.values()))), st.integers(0, 4))
def test_utf_8_is_never_refused_even_when_it_is_cut(lines: list[str], cut: int) -> None:
    data = "\n".join(lines).encode()
    sure_of_encoding(SOURCE, data[: len(data) - cut], header=True)
    assert utf_16_or_32(data) is None


def test_a_few_broken_rows_are_not_the_files_fault() -> None:
    good, broken = f"{LANGUAGES['French']}\n".encode(), "Où ?;Là\n".encode("cp1252")
    sure_of_encoding(SOURCE, b"q;a\n" + good * 5 + broken * 3, header=True)  # the others are UTF-8
    sure_of_encoding(SOURCE, b"q;a\n" + b"plain;text\n" * 50 + broken)  # a single one
    cut = "é".encode()[:1] + b";x\n"
    sure_of_encoding(SOURCE, b"q;a\n" + b"plain;text\n" * 50 + cut * 2)  # no encoding is certain, and there are few
    assert advised(refusal(b"q;a\n" + b"plain;text\n" * 50 + broken * 2)) == "WINDOWS-1252"


def test_a_header_in_another_encoding_is_the_files_fault() -> None:
    data = "réponse;x\n".encode("cp1252") + b"plain;text\n" * 9
    assert advised(refusal(data, header=True)) == "WINDOWS-1252"
    sure_of_encoding(SOURCE, data)


def test_only_the_beginning_is_looked_at_and_its_last_line_may_be_cut() -> None:
    line = "réponse;texte\n".encode()
    sure_of_encoding(SOURCE, (line * (LOOKED_AT // len(line) + 1))[:LOOKED_AT])


@pytest.mark.parametrize(
    ("data", "helped"),
    [("Où est l'été ?".encode("cp1252"), "WINDOWS-1252"), ("Où est l'été ?".encode("mac-roman"), "wrote it")],
)
def test_a_text_that_is_one_row_has_the_place_of_its_first_broken_byte(data: bytes, helped: str) -> None:
    with pytest.raises(UnicodeDecodeError) as raised:
        (b"ab\n" + data).decode()
    fault = text_not_utf8(raised.value)
    assert (fault.code, fault.line, fault.column) == ("D003", 2, 2)
    assert helped in (fault.help_text or "")
