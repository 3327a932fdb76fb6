"""Conversations to examples, many at a time, with what could not be masked or written as asked."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from compiler.data.conversations import Conversation
from compiler.data.examples import Example
from compiler.data.faults import FaultLog, bad_rows
from compiler.data.ledger import Ledger
from compiler.data.named_path import NamedPath
from compiler.data.reading import TOLD_EVERY, Item
from compiler.data.row import RowFault, RowsOf
from compiler.data.sources import Source
from compiler.data.split import copies
from compiler.data.template_file import CHAT_TEMPLATE, unusable
from compiler.data.tokenizer import ChatTokenizer, RenderedChat, TemplateFault, TemplateUnusable
from compiler.diagnostics import Diagnostic
from compiler.language.recipe import Recipe
from compiler.progress import Progress


class _Stopped(Exception):  # noqa: N818 - carries a diagnostic to the end of the loop
    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@dataclass(slots=True)
class Tokenising:
    """One pass over the conversations; what it finds is left in its lists."""

    recipe: Recipe
    tokenizer: ChatTokenizer
    sources: list[Source]
    ledger: Ledger
    progress: Progress
    problems: list[Diagnostic] = field(default_factory=list)
    masks: dict[str, RowsOf] = field(default_factory=dict)
    """What could not be masked as asked, in words, and where."""
    control: dict[str, RowsOf] = field(default_factory=dict)
    """The model's control tokens that texts hold, and where."""

    def tokenise(self, train: list[Item], held_out: list[Item]) -> tuple[list[Example], list[Example]]:
        """The examples of both sides; the lists of items are used up, so that memory holds each text once."""
        total = len(train) + len(held_out)
        faults = FaultLog()
        learnt: list[Example] = []
        measured: list[Example] = []
        try:
            for examples, items in ((learnt, train), (measured, held_out)):
                for batch in _batches(items):
                    examples.extend(self._examples(batch, faults, keep_text=items is held_out))
                    self.progress("tokenising rows", total - len(train) - len(held_out), total)
        except _Stopped as stopped:
            self.problems.append(stopped.diagnostic)
            return [], []
        self.problems += bad_rows(faults, self.recipe.data)
        return learnt, measured

    def _examples(self, items: list[Item], faults: FaultLog, *, keep_text: bool) -> Iterator[Example]:
        """The examples of some rows in their order; plain texts and conversations are each encoded together."""
        chats: list[RenderedChat] = []
        texts: list[str] = []
        good: list[Item] = []
        for item in items:
            if not item.conversation.messages:
                texts.append(item.conversation.text)
                good.append(item)
                continue
            chat = self._rendered(item)
            if isinstance(chat, RowFault):
                source = self.sources[item.source]
                faults.add(source, item.place, chat)
                self.ledger.drop(chat.reason, source.name, item.place.row)
                continue
            chats.append(chat)
            good.append(item)
        encoded_chats = iter(self.tokenizer.encode_chats(chats))
        encoded_texts = iter(self.tokenizer.encode_texts(texts))
        for item in good:
            if not item.conversation.messages:
                ids = next(encoded_texts)
                yield self._example(item, ids, ((0, len(ids)),), keep_text=keep_text)
                continue
            encoded = next(encoded_chats)
            learnt = encoded.learnt
            if not self.recipe.training.completion_only_loss:
                learnt = ((0, len(encoded.ids)),)
            else:
                for text in encoded.faults:
                    self.masks.setdefault(text, []).append((item.source, item.place))
            yield self._example(item, encoded.ids, learnt, keep_text=keep_text)

    def _rendered(self, item: Item) -> RenderedChat | RowFault:
        """A conversation as text, or its fault. Raises _Stopped for what no other row would change."""
        conversation = item.conversation
        for message in conversation.messages:
            if message["content"] == self.recipe.data.system:
                continue  # the recipe's own, told once
            token = self.tokenizer.control_token_in(message["content"])
            if token is not None:
                self.control.setdefault(token, []).append((item.source, item.place))
                break
        try:
            return self.tokenizer.render_chat(list(conversation.messages), learnt_from=conversation.learnt_from)
        except TemplateUnusable as limit:
            raise _Stopped(self._template_problem(limit, item)) from limit
        except TemplateFault as fault:
            own = self.recipe.model.chat_template
            template = f"the chat template {own}" if own else "the model's chat template"
            return RowFault(
                "D026",
                f"{template} refuses it: {fault}",
                "chat template refused",
                help_text="bring the conversation into the order the template wants, or name another template",
            )

    def _template_problem(self, limit: TemplateUnusable, item: Item) -> Diagnostic:
        own = self.recipe.model.chat_template
        where = f"{self.sources[item.source].name}, row {item.place.row}"
        if own:
            return unusable(NamedPath(own, ("model", "chat_template"), CHAT_TEMPLATE), limit, at=where)
        message = f"the chat template of {self.recipe.model.id} cannot be used: {limit} (at {where})"
        help_text = "name a template of your own in [model] chat_template"
        return Diagnostic("M031", message, path=("model", "id"), help=help_text)

    def _example(self, item: Item, ids: list[int], learnt: tuple[tuple[int, int], ...], *, keep_text: bool) -> Example:
        conversation = item.conversation
        prompt, answer = (conversation.prompt, conversation.answer) if keep_text else ((), "")
        times = 1 if keep_text else self._copies(item.source, conversation)
        return Example(item.source, item.place, array("i", ids), learnt, prompt, answer, times)

    def _copies(self, source: int, conversation: Conversation) -> int:
        weights = self.recipe.data.sources
        if source >= len(weights) or weights[source].weight == 1.0:
            return 1
        return copies(weights[source].weight, f"{conversation.prompt}{conversation.answer}{conversation.text}")


def _batches(items: list[Item]) -> Iterator[list[Item]]:
    """The items in their order, so many at a time; they are taken out of the list."""
    items.reverse()
    while items:
        batch = items[: -TOLD_EVERY - 1 : -1]
        del items[-TOLD_EVERY:]
        yield batch
