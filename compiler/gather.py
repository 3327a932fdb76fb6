"""Everything that a plan is made from, read once: the recipe, the model's facts, the rows as tokens.

The compiler gathers to write a plan, the executor to carry one out; both see the same values.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from compiler.acceptance.material import Material, evaluation_material
from compiler.against.model import against_model
from compiler.against.vocabulary import beyond_vocabulary
from compiler.continuing import Start, take_up
from compiler.diagnostics import Diagnostic, has_errors
from compiler.earlier import rows_of, runs_folder
from compiler.facts.models import ModelFacts, NamedModel, locate_model
from compiler.language.recipe import Recipe
from compiler.language.toml_source import TomlDocument, read_document
from compiler.language.validate import load_recipe
from compiler.permissions import Permissions, forbidden
from compiler.placing import placed
from compiler.progress import Progress

if TYPE_CHECKING:
    from compiler.data.prepare import PreparedData
    from compiler.data.replay import Earlier
    from compiler.data.tokenizer import ChatTokenizer


class Inputs(Struct, frozen=True):
    """The recipe with its text, the model's facts, the tokenizer, the rows as tokens, what the evaluation needs.

    ``start`` is the adapter that training goes on from; the recipe has taken up what that is.
    """

    document: TomlDocument
    recipe: Recipe
    facts: ModelFacts
    tokenizer: ChatTokenizer
    data: PreparedData
    material: Material
    start: Start | None = None


class Gathered(Struct):
    """What came together. ``inputs`` is None when any diagnostic is an error.

    ``root`` is the recipe's folder; ``sources`` the texts that diagnostics point into, by file name.
    """

    root: Path
    file: str
    inputs: Inputs | None = None
    diagnostics: list[Diagnostic] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)

    def failed(self) -> bool:
        """Whether any diagnostic stops the work."""
        return has_errors(self.diagnostics)


def find_recipe(path: Path) -> Path:
    """The recipe file meant by a path: a folder means the ``recipe.toml`` in it."""
    return path / "recipe.toml" if path.is_dir() else path


def gather(
    path: Path, allowed: Permissions, progress: Progress | None = None, *, model: NamedModel | None = None
) -> Gathered:
    """Read the recipe at ``path`` (a file, or a folder with a recipe.toml), its model and its data.

    ``model`` takes the place of the recipe's: a plan names the same one at the commit it was compiled with.
    Never raises for anything a user can hand in: every fault is a diagnostic of the result.
    """
    file = find_recipe(path)
    done = Gathered(root=file.parent, file=str(file))
    document, problems = read_document(file)
    done.diagnostics += problems
    if document is None:
        return done
    done.sources[document.file] = document.text
    recipe, problems = load_recipe(document)
    done.diagnostics += problems
    if recipe is None or done.failed():
        return done
    done.diagnostics += forbidden(recipe, document, allowed=allowed)
    material, problems = evaluation_material(recipe.evaluation, done.root, allow_outside=allowed.allow_outside)
    done.diagnostics += placed(problems, document, "evaluation")
    facts, problems = locate_model(
        model or recipe.model, root=done.root, offline=allowed.offline, allow_pickle=allowed.allow_pickle
    )
    done.diagnostics += placed(problems, document, "model", "id")
    if facts is None or done.failed():
        return done
    recipe, start, problems = take_up(recipe, facts, done.root, allowed, thorough=True)
    done.diagnostics += placed(problems, document, "adapter", "continue_from")
    if done.failed():
        return done
    tokenizer, problems = _tokenizer(recipe, document, facts, done.root, allow_outside=allowed.allow_outside)
    done.diagnostics += problems
    if tokenizer is None or done.failed():
        return done
    earlier, problems = _earlier(recipe, start, done.root, allowed)
    done.diagnostics += placed(problems, document, "data", "replay")
    if problems:
        return done
    data, problems = _data(recipe, facts, tokenizer, done.root, allowed=allowed, progress=progress, earlier=earlier)
    done.diagnostics += [*placed(problems, document, "data", "path"), *against_model(recipe, document, facts)]
    if data is not None:
        done.diagnostics += placed(beyond_vocabulary(data, facts), document, "model", "id")
    if data is not None and not done.failed():
        done.inputs = Inputs(document, recipe, facts, tokenizer, data, material, start)
    return done


def _tokenizer(
    recipe: Recipe, document: TomlDocument, facts: ModelFacts, root: Path, *, allow_outside: bool
) -> tuple[ChatTokenizer | None, list[Diagnostic]]:
    from compiler.data.chat_template import own_chat_template
    from compiler.data.tokenizer import load_tokenizer  # tokenizers and jinja2: only for real work

    template = None
    if recipe.model.chat_template:
        template, problems = own_chat_template(recipe.model.chat_template, root, allow_outside=allow_outside)
        if template is None:
            return None, placed(problems, document, "model", "chat_template")
    tokenizer, problems = load_tokenizer(facts, chat_template=template)
    return tokenizer, placed(problems, document, "model", "id")


def _data(
    recipe: Recipe,
    facts: ModelFacts,
    tokenizer: ChatTokenizer,
    root: Path,
    *,
    allowed: Permissions,
    progress: Progress | None,
    earlier: Earlier | None,
) -> tuple[PreparedData | None, list[Diagnostic]]:
    from compiler.data.fetching import fetch_data_sets
    from compiler.data.prepare import prepare

    problems = [] if allowed.offline else fetch_data_sets(recipe.data, root, progress=progress)
    if problems:
        return None, problems
    return prepare(
        recipe,
        tokenizer,
        root=root,
        context_length=facts.architecture.max_position_embeddings if facts.architecture else 0,
        allow_outside=allowed.allow_outside,
        progress=progress,
        earlier=earlier,
    )


def _earlier(
    recipe: Recipe, start: Start | None, root: Path, allowed: Permissions
) -> tuple[Earlier | None, list[Diagnostic]]:
    """The run whose rows are replayed, where the recipe asks for them."""
    if start is None or not recipe.data.replay:
        return None, []
    runs = allowed.runs if allowed.runs is not None else runs_folder()
    found = rows_of(start.found, root, runs, allow_outside=allowed.allow_outside)
    return (None, [found]) if isinstance(found, Diagnostic) else (found, [])
