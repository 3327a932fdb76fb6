"""Rows to examples, a batch at a time, with what could not be read, masked or written as asked.

What comes of a batch depends on nothing but the batch, so that it is the same in whichever process it is made.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from msgspec import Struct

from compiler.data.batch import Batch, Tokenised
from compiler.data.conversations import Conversation, conversations_in
from compiler.data.examples import Example
from compiler.data.json_rows import row_of_line
from compiler.data.named_path import NamedPath
from compiler.data.prompt_template import PromptTemplate, TemplateRefused
from compiler.data.row import Place, Row, RowFault
from compiler.data.split import copies, digest_of, place_of
from compiler.data.store import text_of
from compiler.data.template_file import CHAT_TEMPLATE, unusable
from compiler.data.text_audit import TextAudit
from compiler.data.tokenizer import ChatTokenizer, RenderedChat, TemplateFault, TemplateUnusable
from compiler.diagnostics import Diagnostic
from compiler.language.recipe import Recipe
from compiler.phrases import phrase


class _Stopped(Exception):  # noqa: N818 - carries a diagnostic to the end of the loop
    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class _Item(NamedTuple):
    place: Place
    conversation: Conversation
    key: bytes


class Tokenising(Struct):
    """All that turns rows into examples; it keeps nothing from one batch to the next."""

    recipe: Recipe
    tokenizer: ChatTokenizer
    template: PromptTemplate | None = None

    def tokenise(self, batch: Batch) -> Tokenised:
        """What comes of a batch of rows."""
        look = TextAudit(self.recipe.recipe.language, self.recipe.data.system)
        done = Tokenised(looked=look)
        items: list[_Item] = []
        try:
            for place, found in self.conversations(batch):
                done.count += 1
                if isinstance(found, RowFault):
                    done.unreadable.append((place, found))
                    continue
                item = _Item(place, found, digest_of(found.key()))
                done.keys += item.key
                if batch.most is not None and len(items) >= batch.most:
                    done.beyond.append(place.row)
                else:
                    items.append(item)
                    look.add(batch.source, place, found, held_out=batch.held_out)
        except TemplateRefused as refused:
            done.prompt_template_fault = refused.diagnostic
            return done
        done.has_messages = any(item.conversation.messages for item in items)
        if done.has_messages and not self.tokenizer.has_chat_template:
            done.chat_template_fault = _no_chat_template()
            return done
        try:
            self._tokenise(batch, items, done)
        except _Stopped as stopped:
            done.chat_template_fault = stopped.diagnostic
        return done

    def conversations(self, batch: Batch) -> Iterator[tuple[Place, Conversation | RowFault]]:
        """What a batch's rows say. Raises TemplateRefused."""
        rows: Iterator[tuple[Place, Row | RowFault]] = (
            (place, row_of_line(row) if isinstance(row, bytes) else row) for place, row in batch.rows
        )
        prompt_of = partial(self.template.prompt, columns=batch.columns) if self.template is not None else None
        return conversations_in(rows, batch.form, self.recipe.data.system, prompt_of)

    def _tokenise(self, batch: Batch, items: list[_Item], done: Tokenised) -> None:
        """Examples of some rows in their order; plain texts and conversations are each encoded together."""
        chats: list[RenderedChat] = []
        texts: list[str] = []
        good: list[_Item] = []
        for item in items:
            if not item.conversation.messages:
                texts.append(item.conversation.text)
                good.append(item)
                continue
            chat = self._rendered(batch, item, done)
            if isinstance(chat, RowFault):
                done.refused.append((item.place, chat))
                continue
            chats.append(chat)
            good.append(item)
        encoded_chats = iter(self.tokenizer.encode_chats(chats))
        encoded_texts = iter(self.tokenizer.encode_texts(texts))
        kept = self._kept_texts(batch, [item.key for item in good])
        for item, keeps_text in zip(good, kept, strict=True):
            if not item.conversation.messages:
                ids = next(encoded_texts)
                self._add(batch, item, ids, ((0, len(ids)),), done, keeps_text=keeps_text)
                continue
            encoded = next(encoded_chats)
            learnt = encoded.learnt
            if not self.recipe.training.completion_only_loss:
                learnt = ((0, len(encoded.ids)),)
            else:
                for text in encoded.faults:
                    done.masks.setdefault(text, []).append((batch.source, item.place))
            self._add(batch, item, encoded.ids, learnt, done, keeps_text=keeps_text)

    def _kept_texts(self, batch: Batch, keys: list[bytes]) -> list[bool]:
        """Whose text is kept beside the ids: rows that are held out for certain, or if no other row is."""
        share = self.recipe.data.held_out_share
        if batch.held_out or self.recipe.data.held_out_path or share <= 0:
            return [batch.held_out] * len(keys)
        least = min(keys, default=b"")
        return [place_of(key) < share or key == least for key in keys]

    def _rendered(self, batch: Batch, item: _Item, done: Tokenised) -> RenderedChat | RowFault:
        """A conversation as text, or its fault. Raises _Stopped for what no other row would change."""
        conversation = item.conversation
        for message in conversation.messages:
            if message["content"] == self.recipe.data.system:
                continue  # the recipe's own, told once
            token = self.tokenizer.control_token_in(message["content"])
            if token is not None:
                done.control.setdefault(token, []).append((batch.source, item.place))
                break
        try:
            return self.tokenizer.render_chat(list(conversation.messages), learnt_from=conversation.learnt_from)
        except TemplateUnusable as limit:
            raise _Stopped(
                self._template_problem(limit, phrase("{name}, row {row}", name=batch.name, row=item.place.row))
            ) from limit
        except TemplateFault as fault:
            own = self.recipe.model.chat_template
            template = phrase("the chat template {own}", own=own) if own else phrase("the model's chat template")
            return RowFault(
                "D026",
                phrase("{template} refuses it: {fault}", template=template, fault=fault),
                phrase("chat template refused"),
                help_text=phrase("bring the conversation into the order the template wants, or name another template"),
            )

    def _template_problem(self, limit: TemplateUnusable, where: str) -> Diagnostic:
        own = self.recipe.model.chat_template
        if own:
            return unusable(NamedPath(own, ("model", "chat_template"), CHAT_TEMPLATE), limit, at=where)
        message = phrase(
            "the chat template of {id} cannot be used: {limit} (at {where})",
            id=self.recipe.model.id,
            limit=limit,
            where=where,
        )
        help_text = phrase("name a template of your own in [model] chat_template")
        return Diagnostic("M031", message, path=("model", "id"), help=help_text)

    def _add(
        self,
        batch: Batch,
        item: _Item,
        ids: list[int],
        learnt: tuple[tuple[int, int], ...],
        done: Tokenised,
        *,
        keeps_text: bool,
    ) -> None:
        conversation, file = item.conversation, item.place.file
        text = text_of(file, conversation.prompt, conversation.answer) if keeps_text else text_of(file, (), "")
        times = _copies(batch.weight, conversation)
        example = Example(batch.source, item.place, array("i", ids), learnt, copies=times)
        done.index.add(example, key=item.key, chat=bool(conversation.messages), text_length=len(text))
        done.ids += example.ids.tobytes()
        done.texts += text


def _copies(weight: float, conversation: Conversation) -> int:
    if weight == 1.0:
        return 1
    return copies(weight, f"{conversation.prompt}{conversation.answer}{conversation.text}")


def _no_chat_template() -> Diagnostic:
    return Diagnostic(
        "M030",
        phrase("the model has no chat template, so a conversation cannot be written for it"),
        help=phrase("take the model's instruction-tuned version, or name a Jinja2 file in [model] chat_template"),
    )
