"""Other languages: plain running text is told, short, mixed and technical text is not."""

from __future__ import annotations

import inspect
import json
import textwrap
from pathlib import Path

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from compiler.data import near_duplicates
from compiler.data.languages import CODES, NAMES, SCRIPTS, is_told, other_language

ROOT = Path(__file__).resolve().parents[3]

TEXTS: dict[str, str] = tomli.loads(Path(__file__).with_name("running_text.toml").read_text(encoding="utf-8"))
SCRIPT_TEXTS = {
    "ru": ("Вы можете вернуть товар в течение тридцати дней.", "Cyrillic"),
    "el": ("Μπορείτε να επιστρέψετε το προϊόν εντός τριάντα ημερών.", "Greek"),
    "ar": ("يمكنك إرجاع المنتج خلال ثلاثين يوما إذا لم يستخدم.", "Arabic"),
    "zh": ("如果商品未使用，您可以在三十天内退货，我们将退款。", "Chinese"),
    "ja": ("さんじゅうにち以内であれば、このしょうひんを返品することができます。", "Japanese"),
    "ko": ("사용하지 않은 경우 삼십일 이내에 상품을 반품할 수 있습니다.", "Hangul"),
}
PAIRS = [(text, own) for text in TEXTS for own in TEXTS if text != own and {text, own} != {"da", "no"}]


@pytest.mark.parametrize(("language", "own"), PAIRS)
def test_running_text_in_another_language_is_told(language: str, own: str) -> None:
    assert other_language(f"{TEXTS[language]} {TEXTS[language]}", own) == NAMES[language]


@pytest.mark.parametrize("language", TEXTS)
def test_running_text_in_the_recipes_language_is_not(language: str) -> None:
    assert other_language(TEXTS[language], language) is None


@pytest.mark.parametrize("language", SCRIPT_TEXTS)
def test_other_scripts_are_told_by_their_letters(language: str) -> None:
    text, script = SCRIPT_TEXTS[language]
    assert other_language(text, "fr") == script
    assert other_language(text, language) is None
    assert other_language(TEXTS["en"], language) == "English"


def test_danish_and_norwegian_are_not_told_apart() -> None:
    assert other_language(TEXTS["da"], "no") is None
    assert other_language(TEXTS["no"], "nb") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OK",
        "Yes, you can.",
        "https://example.org/the/way/to/the/thing 42 17:30",
        "GPU, CPU, LoRA, QLoRA, batch size, learning rate, warmup steps",
        "1. Kernel\n2. Driver\n3. Firmware\n4. BIOS",
        f"Le texte « {TEXTS['en'][:40]} » veut dire : {TEXTS['fr']}",
        textwrap.dedent(inspect.getsource(near_duplicates.NearDuplicates.candidates)).partition('"""')[0] * 4,
        textwrap.dedent(inspect.getsource(near_duplicates.band_keys)),
        "def f(a, is_on):\n    for x in a:\n        if x is not None and x in is_on or not x:\n            return x\n"
        * 3,
    ],
)
def test_short_mixed_and_technical_texts_are_not_judged(text: str) -> None:
    assert other_language(text, "fr") is None


def test_the_shipped_answers_are_in_their_language() -> None:
    for file in sorted(ROOT.glob("recipes/*/*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            told = [message["content"] for message in row["messages"]] if "messages" in row else [row["reponse"]]
            for text in told:
                assert other_language(text, "fr") is None, line


def test_languages_that_are_not_known_are_never_judged() -> None:
    assert not is_told("br")
    assert all(other_language(text, "br") is None for text in TEXTS.values())
    assert all(other_language(text, "eus") is None for text, _ in SCRIPT_TEXTS.values())


def test_codes_of_three_letters_mean_the_same() -> None:
    assert all(is_told(code) for code in CODES)
    assert other_language(TEXTS["en"], "fra") == "English"
    assert other_language(TEXTS["fr"], "fra") is None


@given(st.text(), st.sampled_from([*NAMES, "ru", "zh"]))
def test_any_text_is_judged_or_not(text: str, own: str) -> None:
    found = other_language(text, own)
    assert found is None or found in {*NAMES.values(), *(script.name for script in SCRIPTS)} - {NAMES.get(own)}
