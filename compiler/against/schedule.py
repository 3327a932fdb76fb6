"""What a recipe says against what its data came to: steps, warm-up, passes, held-out rows."""

from __future__ import annotations

from typing import Any

from compiler.diagnostics import Diagnostic, KeyPath, Label, Severity
from compiler.language.recipe import Recipe
from compiler.language.toml_source import TomlDocument
from compiler.phrases import phrase
from compiler.plan import Schedule


def against_data(
    recipe: Recipe, document: TomlDocument, schedule: Schedule, *, train_rows: int, held_out_rows: int
) -> list[Diagnostic]:
    """Everything in which a recipe and its rows do not fit together."""
    look = _Look(recipe, document, schedule, train_rows, held_out_rows)
    return [
        problem
        for found in (look.watched(), look.warm_up(), look.batch(), look.passes(), look.pruning())
        for problem in found
    ]


class _Look:
    def __init__(
        self, recipe: Recipe, document: TomlDocument, schedule: Schedule, train_rows: int, held_out_rows: int
    ) -> None:
        self.recipe = recipe
        self.document = document
        self.schedule = schedule
        self.train_rows = train_rows
        self.held_out_rows = held_out_rows

    def told(self, code: str, path: KeyPath, message: str, help_text: str, *others: KeyPath, **more: Any) -> Diagnostic:
        """A diagnostic at the first of the fields that the recipe writes; at its end when it writes none."""
        spans = [span for one in (path, *others) if (span := self.document.value_span(one)) is not None]
        return Diagnostic(
            code,
            message,
            file=self.document.file,
            path=path,
            span=spans[0] if spans else self.document.end_span(),
            secondary=tuple(Label(span, phrase("and this")) for span in spans[1:]),
            help=help_text,
            **more,
        )

    def watched(self) -> list[Diagnostic]:
        """Held-out rows that were asked for and are not there."""
        data = self.recipe.data
        if self.held_out_rows:
            return []
        where: KeyPath = ("data", "held_out_path") if data.held_out_path else ("data", "held_out_share")
        if self.recipe.training.early_stopping_patience is not None:
            message = phrase("early stopping needs held-out rows to watch, and none came out of the data")
            advice = phrase("name a held_out_path with rows of its own, or remove early_stopping_patience")
            return [self.told("R107", ("training", "early_stopping_patience"), message, advice, where)]
        if data.held_out_path or data.held_out_share > 0:
            message = phrase("no row was held out, so nobody will know whether the tuned model is better than its base")
            advice = phrase("the data has too few different questions (see the ledger); name a held_out_path with more")
            return [self.told("R209", where, message, advice, ("data", "path"), severity=Severity.WARNING)]
        return []

    def warm_up(self) -> list[Diagnostic]:
        """Warm-up that ends after the run does."""
        training, steps = self.recipe.training, self.schedule.steps
        asked = training.warmup_steps
        if asked < 1 or asked < steps or training.max_steps is not None:
            return []
        message = phrase(
            "{asked:g} steps of warm-up, and {num_train_epochs:g} epochs of this data are {steps} steps",
            asked=asked,
            num_train_epochs=training.num_train_epochs,
            steps=steps,
        )
        advice = phrase("write a share such as warmup_steps = 0.03")
        return [self.told("R108", ("training", "warmup_steps"), message, advice, ("training", "num_train_epochs"))]

    def batch(self) -> list[Diagnostic]:
        """A batch that holds more rows than there are."""
        size = self.recipe.training.batch_size
        if size <= self.train_rows:
            return []
        message = phrase(
            "batch_size {size} is more than the {train_rows} training rows: every step sees them all",
            size=size,
            train_rows=self.train_rows,
        )
        advice = phrase(
            "set batch_size to {train_rows}, so that an epoch has several steps",
            train_rows=max(1, min(16, self.train_rows // 8)),
        )
        path: KeyPath = ("training", "batch_size")
        return [self.told("D052", path, message, advice, ("data", "path"), severity=Severity.WARNING)]

    def passes(self) -> list[Diagnostic]:
        """A run of max_steps that goes over the same rows again and again."""
        training = self.recipe.training
        if training.max_steps is None or self.schedule.epochs <= 10 or training.early_stopping_patience is not None:
            return []
        message = phrase(
            "{max_steps} steps are {epochs:.0f} passes over {train_rows} rows",
            max_steps=training.max_steps,
            epochs=self.schedule.epochs,
            train_rows=self.train_rows,
        )
        advice = phrase("1 to 5 passes are usual; set max_steps lower, or early_stopping_patience = 2")
        return [self.told("R210", ("training", "max_steps"), message, advice, severity=Severity.WARNING)]

    def pruning(self) -> list[Diagnostic]:
        """AdaLoRA's warm-up and final phase must leave steps for pruning between them (peft.AdaLoraConfig)."""
        peft, steps = self.recipe.adapter.peft, self.schedule.steps
        if self.recipe.adapter.method != "adalora":
            return []
        first, last = peft.get("tinit", steps // 10), peft.get("tfinal", steps // 2)
        if first < steps - last:
            return []
        message = phrase(
            "tinit {first} and tfinal {last} leave no step of {steps} for pruning", first=first, last=last, steps=steps
        )
        advice = phrase(
            "leave them out: the run then prunes from step {steps} to {steps2}",
            steps=steps // 10,
            steps2=steps - steps // 2,
        )
        path: KeyPath = ("adapter", "peft", "tinit" if "tinit" in peft else "tfinal")
        return [self.told("R106", path, message, advice, ("training", "max_steps"))]
