"""What the evaluation needs besides the recipe: the glossary and the file of questions."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, field

from compiler.diagnostics import Diagnostic
from compiler.language.recipe import EvaluationTable, OwnQuestion, Term


class Material(Struct, frozen=True):
    """The terms of the glossary and the questions of the file; empty where the recipe names none."""

    terms: list[Term] = field(default_factory=list)
    questions: list[OwnQuestion] = field(default_factory=list)


def evaluation_material(
    evaluation: EvaluationTable, root: Path, *, allow_outside: bool
) -> tuple[Material, list[Diagnostic]]:
    """The files that [evaluation] names, and what is wrong with them. ``root`` is the recipe's folder."""
    terms: list[Term] = []
    questions: list[OwnQuestion] = []
    problems: list[Diagnostic] = []
    if evaluation.glossary:
        from compiler.acceptance.glossary import load_glossary  # most recipes have neither

        read, problems = load_glossary(evaluation.glossary, root, allow_outside=allow_outside)
        terms = read or []
    if evaluation.questions_path:
        from compiler.acceptance.questions import load_questions

        questions, more = load_questions(evaluation.questions_path, root, allow_outside=allow_outside)
        problems = [*problems, *more]
    return Material(terms, questions), problems
