"""Check digits of numbers that belong to a person: what tells them from order numbers of the same length."""

from __future__ import annotations

import re

IBAN_LENGTHS = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "FO", "GL", "NL", "SD"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "MN", "XK"), 20),
    **dict.fromkeys(("CH", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "OM", "SO", "TL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HN", "HU", "LB", "NI", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU", "YE"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
    "LC": 32,
    "RU": 33,
}
"""Characters of an IBAN by country (SWIFT's IBAN registry, which ISO 13616-2 names as its register)."""

_NIR = re.compile(r"[1-478]\d\d(?:0[1-9]|1[0-2]|20|3\d|4[0-2]|[5-9]\d)(?:\d\d|2[AB])\d{8}", re.ASCII)


def is_iban(text: str) -> bool:
    """Whether a text without spaces, in capitals, is an IBAN: its country's length, remainder 1 by 97 (ISO 13616)."""
    if len(text) != IBAN_LENGTHS.get(text[:2]) or not (text.isascii() and text.isalnum()):
        return False
    return int("".join(str(int(letter, 36)) for letter in text[4:] + text[:4])) % 97 == 1


def has_luhn_digit(digits: str) -> bool:
    """Whether the last digit checks the others (Luhn, ISO/IEC 7812-1 annex B)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(doubled) + sum(int(digit) for digit in digits[::-2])) % 10 == 0


def is_card_number(digits: str) -> bool:
    """Whether digits may be a payment card's: an issuer's prefix and length, and the check digit (ISO/IEC 7812).

    Visa's 13 digits are left out: no longer issued, and the length of every article number (EAN-13).
    """
    lengths = _card_lengths(int(digits[:4])) if len(digits) >= 14 else ()
    return len(digits) in lengths and len(set(digits)) > 1 and has_luhn_digit(digits)


def _card_lengths(first: int) -> tuple[int, ...]:
    """How many digits a card has whose number begins with these four; none for prefixes of nobody."""
    if 4000 <= first < 5000:  # Visa
        return (16, 19)
    if 5100 <= first < 5600 or 2221 <= first <= 2720:  # Mastercard
        return (16,)
    if first // 100 in {34, 37}:  # American Express
        return (15,)
    if (
        first == 6011 or 6440 <= first < 6600 or 6200 <= first < 6300 or 3528 <= first <= 3589
    ):  # Discover, UnionPay, JCB
        return (16, 19)
    if first // 100 in {36, 38, 39} or 3000 <= first <= 3059:  # Diners Club
        return (14,)
    return ()


def is_nir(text: str) -> bool:
    """Whether 15 characters without spaces are a French social security number (NIR) with its key.

    Sex, year, month (20 and above where it is not known), department (2A and 2B in Corsica count as 19 and 18),
    commune, order, and a key of 97 - n mod 97 (INSEE; décret 82-103).
    """
    if not _NIR.fullmatch(text):
        return False
    number = text[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and int(text[13:]) == 97 - int(number) % 97
