"""Words, sentences, items and steps as a person counts them."""

from __future__ import annotations

import pytest

from compiler.acceptance.texts import is_json, items, sentences, steps, words


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("Oui.", 1),
        ("L'article L. 1234-1 du code du travail s'applique. Le préavis est de deux mois.", 2),
        ("Voir art. 1240 C. civ. et suivants.", 1),
        ("M. Durand est venu. Mme Petit aussi !", 2),
        ("Il a dit « Non. » Puis il est parti…", 2),
        ("Combien ? Trois… peut-être quatre.", 2),
        ("- Coupez l'eau\n- Ouvrez le robinet", 2),
        ("1. Coupez l'eau.\n2. Ouvrez le robinet.", 2),
        ("Le délai est de 2.5 jours, env. trois.", 1),
        ("En 2016. Depuis, rien.", 2),
    ],
)
def test_sentences(text: str, count: int) -> None:
    assert len(sentences(text)) == count, sentences(text)


def test_words() -> None:
    assert words("L’arrêt-maladie, 3 jours !") == ["L'arrêt-maladie", "3", "jours"]


def test_items_and_steps() -> None:
    text = "Voici :\n1. Coupez.\n 2) Ouvrez.\nÉtape 3 : fermez.\n- puis rien\n\n**4.** Fin"
    assert steps(text) == [1, 2, 3, 4]
    assert items(text) == ["1. Coupez.", "2) Ouvrez.", "- puis rien"]
    assert items("Le 3 mai.\nDeux-points : non") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [('{"a": 1}', True), ("```json\n[1]\n```", True), ("```\n[1]\n```", True), ("{a: 1}", False), ("", False)],
)
def test_json(text: str, *, expected: bool) -> None:
    assert is_json(text) is expected
