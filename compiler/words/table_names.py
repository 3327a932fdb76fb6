"""The tables of the language, by the names that people and other programs give them."""

from __future__ import annotations

from compiler.diagnostics import KeyPath
from compiler.language.shapes import shapes_of, tables
from compiler.words.spelling import misspelt, plain

ALIASES: dict[str, str] = {
    name: table
    for table, names in {
        "adapter": "lora qlora peft lora_config loraconfig peft_config lora_args get_peft_model adapters "
        "adaptation adaptateur",
        "training": "train trainer training_args training_arguments trainingarguments hyperparameters hyperparams "
        "params sft_config sftconfig optimizer optimiser optim scheduler lr_scheduler entrainement apprentissage "
        "parametres",
        "data": "dataset datasets train_data corpus donnees",
        "model": "base_model base quantization quantisation bitsandbytes bnb_config bitsandbytesconfig "
        "fastlanguagemodel from_pretrained modele",
        "hardware": "gpu gpus compute machine materiel",
        "budget": "cost costs limits cout couts",
        "evaluation": "eval evaluate validation test",
        "export": "output save exports exportation sortie",
        "recipe": "meta metadata general project info recette projet",
    }.items()
    for name in names.split()
}
"""What other programs, and people who write French, call the tables."""

SUBTABLES: dict[str, KeyPath] = {
    "sft": ("training", "sft"),
    "peft": ("adapter", "peft"),
    "columns": ("data", "columns"),
    "colonnes": ("data", "columns"),
    "sources": ("data", "sources"),
    "source": ("data", "sources"),
}


def table_meant(names: tuple[str, ...]) -> KeyPath | None:
    """The table that a header's names mean without any doubt; None for one that the language has not."""
    if names in tables() or _is_inside_dict(names):
        return names
    first = tuple(_known(name) for name in names)
    if first in tables():
        return first
    if len(names) == 1 and plain(names[0]) in SUBTABLES and plain(names[0]) not in ALIASES:
        return SUBTABLES[plain(names[0])]
    return None


def _known(name: str) -> str:
    folded = without_accents(plain(name))
    return ALIASES.get(folded, folded)


def _is_inside_dict(names: tuple[str, ...]) -> bool:
    """Whether the names lie in a table of arguments that are passed on, such as [training.sft]."""
    for cut in range(1, len(names)):
        shape = shapes_of(tables()[names[:cut]]).get(names[cut]) if names[:cut] in tables() else None
        if shape is not None and "dict" in shape.kinds:
            return True
    return False


def guess_table(name: str, inside: KeyPath) -> tuple[KeyPath | None, bool]:
    """The table that an unknown one of this name inside another one was meant to be, and whether that is sure."""
    children = [child for child, shape in shapes_of(tables()[inside]).items() if "dict" in shape.kinds or shape.table]
    folded = without_accents(plain(name))
    for child in children:
        if plain(child) == folded:
            return (*inside, child), True
    if not inside and folded in ALIASES:
        return (ALIASES[folded],), True
    if folded in SUBTABLES:
        return SUBTABLES[folded], True
    if inside and (folded,) in tables():
        return (folded,), True  # [training.hardware]
    swapped = [child for child in children if len(child) < 4 and sorted(plain(child)) == sorted(folded)]
    if swapped:  # too short a name to be compared letter by letter
        return (*inside, swapped[0]), False
    guess = misspelt(folded, children)
    return ((*inside, guess.name), guess.sure) if guess.name else (None, False)


def without_accents(text: str) -> str:
    """``entraînement`` → ``entrainement``."""
    if text.isascii():
        return text
    import unicodedata

    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
