"""Personal data: what is a person's is told and never repeated; numbers of orders, articles and prices are not."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.checksums import IBAN_LENGTHS, has_luhn_digit, is_card_number, is_iban, is_nir
from compiler.data.personal import CARD, EMAIL, IBAN, NIR, PHONE, personal_data_in

ROOT = Path(__file__).resolve().parents[3]

PERSONAL = {
    EMAIL: ["jean.dupont@exemple.fr", "Marie_Durand+lettres@mail.asso.example.co.uk", "j@ab.io", "support2@mail.fr"],
    PHONE: [
        "06 12 34 56 78",
        "0612345678",
        "06.12.34.56.78",
        "01-44-55-66-77",
        "06\u202f12\u202f34\u202f56\u202f78",
        "+33 6 12 34 56 78",
        "+33612345678",
        "+33 (0)6 12 34 56 78",
        "0033612345678",
        "06 12 34 56 78 / 07 12 34 56 78",
        "0612345678 12/05/2024",
        "+1 (212) 555-2368",
        "(212) 555-2368",
        "+44 20 7946 0958",
        "+49 30 123456",
        "+41 44 668 18 00",
    ],
    IBAN: [
        "FR76 3000 6000 0112 3456 7890 189",
        "FR7630006000011234567890189",
        "FR14 2004 1010 0505 0001 3M02 606",
        "DE89370400440532013000",
        "GB82 WEST 1234 5698 7654 32",
        "BE68 5390 0754 7034 BIC GEBABEBB",
    ],
    CARD: [
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "5500005555555559",
        "378282246310005",
        "3782 822463 10005",
        "3056 930902 5904",
        "4111 1111 1111 1111 12/27 123",
    ],
    NIR: ["1 85 05 78 006 084 91", "185057800608491", "2 85 05 2A 006 084 82", "285052B00608412"],
}

NOBODYS = [
    "commande n° 4111111111111111",
    "votre numéro de commande est le 5500005555555559",
    "colis 6A12345678901, suivi 4539578763621486",
    "4111 1111 1111 1112",
    "SIRET 732 829 320 00074",
    "38012986643097",
    "RCS Paris 552 100 554",
    "TVA FR 40 303 265 045",
    "FR76 3000 6000 0112 3456 7890 188",
    "185057800608492",
    "article 0612345678",
    "référence REF-0612345678",
    "ISBN 978-2-07-036822-8 ou 2-07-036822-X",
    "EAN 4006381333931",
    "1 250 000 000 €, +120 000 000 €, +10 000 000",
    "12 345 678,90 € et 0,123456789 ou 3.14159265358979",
    "le 01/02/2024 à 12:30, du 01.02.2024 au 28.02.2024",
    "2024-05-12 10:22:33",
    "1715000000 ou 1715000000000",
    "192.168.1.100, version 1.2.3.4",
    "10 20 30 40 50 60 70 80",
    "0 800 123 456, 0800 123 456, 08 92 70 12 34, 3939",
    "article L. 1234-5 du Code du travail, articles 1240 et 1241",
    "Cass. soc., 12 mai 2021, n° 19-20.123",
    "support@boutique.fr, contact@mairie.fr, service-client@banque.fr",
    "logo@2x.png, pip install paquet@1.2.3, git@github.com:a/b.git, @mention",
    "",
]


@pytest.mark.parametrize(("kind", "datum"), [(kind, datum) for kind, data in PERSONAL.items() for datum in data])
def test_a_persons_data_are_told_by_their_kind_and_masked(kind: str, datum: str) -> None:
    (found,) = personal_data_in(f"Bonjour, voici : {datum}.")
    assert found[0] == kind
    assert "…" in found[1]
    assert sum(letter.isalnum() for letter in found[1]) <= 5
    assert datum not in found[1]


@pytest.mark.parametrize("text", NOBODYS)
def test_what_is_nobodys_is_not_told(text: str) -> None:
    assert personal_data_in(text) == []


def texts_in(value: Any) -> Iterator[str]:
    """Every text of a row, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from texts_in(part)


def test_the_shipped_data_hold_none() -> None:
    for file in sorted(ROOT.glob("recipes/*/*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            assert personal_data_in(" ".join(texts_in(json.loads(line)))) == [], line


def test_support_and_legal_texts_hold_none() -> None:
    drawn = random.Random(1)

    def digits(count: int) -> str:
        return "".join(drawn.choice("0123456789") for _ in range(count))

    def text() -> str:
        return drawn.choice(
            [
                f"Votre commande n° {digits(drawn.choice([8, 10, 14, 16]))} du {drawn.randint(1, 28):02}/0{digits(1)}/"
                f"20{digits(2)} a été expédiée sous le numéro de suivi {digits(13)}.",
                f"L'article réf. {digits(10)} (EAN {digits(13)}) coûte {digits(3)},{digits(2)} € au lieu de "
                f"{drawn.randint(1, 9)} {digits(3)},{digits(2)} €.",
                f"Facture {digits(12)} : total {drawn.randint(1, 99)} {digits(3)} {digits(3)},{digits(2)} EUR, "
                f"SIRET {digits(3)} {digits(3)} {digits(3)} {digits(5)}.",
                f"Cass. civ. {drawn.randint(1, 3)}re, {drawn.randint(1, 28)} mai 20{digits(2)}, n° "
                f"{digits(2)}-{digits(2)}.{digits(3)} ; art. L. {digits(3)}-{digits(2)} et R. {digits(4)}-{digits(1)}.",
                f"Décision du 1{digits(1)} mars 20{digits(2)}, RG {digits(2)}/{digits(5)}, pourvoi {digits(2)}-"
                f"{digits(2)}.{digits(3)}, de {digits(4)} à {digits(4)}.",
            ]
        )

    told = [one for one in (text() for _ in range(5000)) if personal_data_in(one)]
    assert told == []


@given(st.text(st.characters(exclude_categories=["Cs", "Nd"], exclude_characters="@")))
def test_without_digits_or_an_at_sign_there_is_nothing(text: str) -> None:
    assert personal_data_in(text) == []


@given(st.text(st.sampled_from("01233456789 +().-/@aAB2\u00a0"), max_size=60))
def test_any_run_of_digits_is_judged(text: str) -> None:
    for kind, masked in personal_data_in(text):
        assert kind in PERSONAL
        assert len(masked) <= 12


@given(st.integers(0, 10**14))
def test_one_luhn_digit_fits_a_number(number: int) -> None:
    assert sum(has_luhn_digit(f"{number}{digit}") for digit in range(10)) == 1


@given(st.sampled_from(sorted(IBAN_LENGTHS)), st.data())
def test_a_wrong_letter_spoils_an_iban(country: str, data: st.DataObject) -> None:
    length = IBAN_LENGTHS[country] - 4
    account = data.draw(st.text("0123456789ABCXYZ", min_size=length, max_size=length))
    moved = int("".join(str(int(letter, 36)) for letter in f"{account}{country}00"))
    number = f"{country}{98 - moved % 97:02}{account}"
    assert is_iban(number)
    place = data.draw(st.integers(4, len(number) - 1))
    other = data.draw(st.sampled_from("0123456789").filter(lambda digit: digit != number[place]))
    if number[place].isdigit():
        assert not is_iban(number[:place] + other + number[place + 1 :])
    assert not is_iban(number + "0")


@given(st.sampled_from("12"), st.integers(0, 99), st.integers(1, 12), st.integers(0, 99_999_999))
def test_a_nir_has_one_key(sex: str, year: int, month: int, rest: int) -> None:
    number = f"{sex}{year:02}{month:02}{rest:08}"
    assert sum(is_nir(f"{number}{key:02}") for key in range(1, 98)) == 1


def test_a_card_needs_an_issuer() -> None:
    assert is_card_number("4111111111111111")
    assert not is_card_number("9111111111111111"[:15] + "6")
    assert not is_card_number("0000000000000000")
