"""Personal data in texts: e-mail addresses, telephone and account numbers, told without being repeated.

What has check digits is checked; what has none must be written the way people write it, and not be announced as
an order, article or file number. Addresses of an office (support@, contact@) and French 08 numbers belong to
no person. IP addresses are left out: four numbers with points between them are as often a version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from compiler.data.checksums import IBAN_LENGTHS, is_card_number, is_iban, is_nir

EMAIL, PHONE, IBAN, CARD, NIR = (
    "an e-mail address",
    "a telephone number",
    "an IBAN",
    "a payment card number",
    "a French social security number",
)

KINDS = (EMAIL, PHONE, IBAN, CARD, NIR)
"""What is looked for, in words."""

_EMAIL = re.compile(
    r"(?<![\w.%+@/-])([A-Za-z0-9](?:[\w.%+-]{0,62}[\w+-])?)@((?:[A-Za-z0-9-]{1,63}\.){1,6})([A-Za-z]{2,18})(?![\w@-])"
)
_OFFICE_NAMES = (
    "abuse accueil admin administration bonjour commande commandes commercial compta comptabilite contact dpo "
    "facturation ftp git hello help hostmaster info infos mailer-daemon marketing news newsletter no-reply noc "
    "noreply office postmaster presse press privacy recrutement retour retours rgpd root sales sav secretariat "
    "security service serviceclient service-client service.client support team usenet webmaster www"
)
_OFFICES = frozenset(_OFFICE_NAMES.split())
"""Names of mailboxes that several people read (RFC 2142, and French custom)."""

_ENDINGS = "css csv gif html ico jpeg jpg js json log md mp3 mp4 pdf php png py svg ts txt webp"
_FILE_ENDINGS = frozenset(_ENDINGS.split())
"""What stands at the end of names such as logo@2x.png."""

_SPACES = " \u00a0\u202f\u2009"
_BREAK = rf"[{_SPACES}.\-/]"
_SPACE = re.compile(f"[{_SPACES}]")
_NUMBER = re.compile(
    rf"[+(0-9](?:(?:{_BREAK}|[{_SPACES}]?[()][{_SPACES}]?)?(?:[0-9]|(?<=2)[AB](?=[{_SPACES}]?[0-9]))){{8,}}"
)
_IBAN = re.compile(rf"[A-Z]{{2}}[0-9]{{2}}(?:[{_SPACES}-]?[A-Z0-9]){{11,30}}")
_DIGITS = re.compile("[0-9]{2}")
_JOINED_BEFORE = re.compile(r"[\w.,/#@=&+-]")
_JOINED_AFTER = re.compile(r"[\w@]|[.,/=-]\w")
_NOT_DIGITS = re.compile(r"[^0-9A-Z]")

_NAMED_OTHERWISE = re.compile(
    r"(?:commandes?|orders?|factures?|invoices?|tickets?|dossiers?|colis|suivi|tracking|articles?|produits?|products?|"
    r"r[ée]f(?:[ée]rences?)?|sku|ean|isbn|issn|siret|siren|tva|vat|contrats?|devis|s[ée]rie|serial|lot|version|"
    r"pourvoi|minute|rg|doi|id)\b[^\w\n]{0,3}(?:(?:n|no|nr|num[ée]ro|number|est|is|de|le)\b[^\w\n]{0,3}){0,3}$",
    re.IGNORECASE,
)
"""Words just before a number that say it is something else."""

_FRENCH_ONE = r"0[1-79](?:[0-9]{8}|(?:[SP][0-9]{2}){4}|(?:\.[0-9]{2}){4}|(?:-[0-9]{2}){4})".replace("SP", _SPACES)
_FRENCH = re.compile(rf"{_FRENCH_ONE}(?:[{_SPACES}/]{_FRENCH_ONE})*")
_AMERICAN = re.compile(r"(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}-)[2-9][0-9]{2}-[0-9]{4}")
_THOUSANDS = re.compile(rf"\+[0-9]{{1,3}}(?:[{_SPACES}.][0-9]{{3}}){{2,}}")
_COUNTRY = re.compile(
    r"(?:1(?=[2-9])|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|"
    r"2[1-69][0-9]|3[578][0-9]|42[0-9]|5[09][0-9]|6[789][0-9]|85[0-9]|88[06]|9[679][0-9])"
)
"""Country codes (ITU-T E.164)."""

_CARD = re.compile(
    rf"(?<![0-9])(?:[0-9]{{4}}(?:([{_SPACES}-]?)[0-9]{{4}}(?:\1[0-9]{{4}}){{2}}(?:\1[0-9]{{3}})?"
    rf"|([{_SPACES}-]?)[0-9]{{6}}\2[0-9]{{5}}|[{_SPACES}-][0-9]{{6}}[{_SPACES}-][0-9]{{4}}))(?![0-9])"
)
"""How cards are printed; 14 digits in a row are a SIRET, whose check digit is Luhn's too."""

_NIR = re.compile(
    rf"(?<![0-9])[1-478](?:([{_SPACES}]?)[0-9]{{2}}){{2}}\1(?:[0-9]{{2}}|2[AB])(?:\1[0-9]{{3}}){{2}}[{_SPACES}]?[0-9]{{2}}(?![0-9])"
)


def personal_data_in(text: str) -> list[tuple[str, str]]:
    """Each kind of personal datum that a text holds, with the first of them masked (``j…@e….fr``)."""
    found: dict[str, str] = {}
    if "@" in text:
        for mail in _emails(text):
            found.setdefault(EMAIL, mail)
    if _DIGITS.search(text) is None:
        return list(found.items())
    for number in _IBAN.finditer(text):
        country = number[0][:2]
        if text[max(0, number.start() - 1) : number.start()].isalnum():
            continue
        if country in IBAN_LENGTHS and is_iban(_NOT_DIGITS.sub("", number[0])[: IBAN_LENGTHS[country]]):
            found.setdefault(IBAN, f"{number[0][:4]} …")
    for match in _NUMBER.finditer(text):
        kind = _kind(text, match)
        if kind is not None:
            found.setdefault(kind, _masked(match[0], kind))
    return list(found.items())


def _masked(number: str, kind: str) -> str:
    """As much of a number as tells a person which it is, and nobody else."""
    return f"{number[:3].strip('( ')} …" if kind == PHONE else f"{number[0]} …"


def _emails(text: str) -> Iterator[str]:
    for name, domain, ending in _EMAIL.findall(text):
        if name.lower() not in _OFFICES and ending.lower() not in _FILE_ENDINGS:
            yield f"{name[0]}…@{domain[0]}….{ending}"


def _kind(text: str, match: re.Match[str]) -> str | None:
    """What a run of digits is, if it is a person's."""
    start, end = match.span()
    if start and _JOINED_BEFORE.match(text, start - 1):
        return None
    if _JOINED_AFTER.match(text, end):
        return None
    kind = _checked(match[0]) or (PHONE if _is_phone(match[0]) else None)
    if kind in {PHONE, CARD} and _NAMED_OTHERWISE.search(text, max(0, start - 40), start):
        return None
    return kind


def _checked(written: str) -> str | None:
    """A number with check digits in a run of digits: a card may be followed by its last month, and so on."""
    if any(is_nir(_NOT_DIGITS.sub("", nir[0])) for nir in _NIR.finditer(written)):
        return NIR
    return CARD if any(is_card_number(_NOT_DIGITS.sub("", card[0])) for card in _CARD.finditer(written)) else None


def _is_phone(written: str) -> bool:
    plain = _NOT_DIGITS.sub("", written)
    if not plain.isdigit():
        return False
    if written[0] == "+":
        return _is_international(written, plain)
    if plain.startswith("0033"):
        return len(plain) == 13 and plain[4] in "12345679"
    if _FRENCH.fullmatch(written) or _AMERICAN.fullmatch(written):
        return True
    return any(len(part) >= 10 and _FRENCH.fullmatch(part) for part in _SPACE.split(written))


def _is_international(written: str, plain: str) -> bool:
    """+ and a country code, with 8 to 15 digits in all (ITU-T E.164), which is not a sum (``+120 000 000``)."""
    code = _COUNTRY.match(plain)
    if code is None or (len(plain) <= 9 and _THOUSANDS.fullmatch(written)):
        return False
    national = plain[code.end() :].removeprefix("0") if "(0)" in written else plain[code.end() :]
    if code[0] in {"1", "33"}:
        return len(national) == (10 if code[0] == "1" else 9) and national[0] not in ("01" if code[0] == "1" else "08")
    return 7 <= len(national) <= 15 - len(code[0]) and len(plain) >= 9
