"""A model's tokenizer and chat template, in light code: text to ids, with the loss mask built beside them.

The ids are those of ``apply_chat_template(tokenize=True)`` of Transformers (tests compare); the mask
marks what the assistant said, its end-of-turn token included, so that the model learns to stop.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from compiler.data.chat_template import ChatTemplate, Message
from compiler.data.rendering import TemplateUnusable
from compiler.data.sandbox import TemplateFault
from compiler.diagnostics import Diagnostic
from compiler.facts.hashes import sha256_bytes
from compiler.facts.models import ModelFacts
from compiler.phrases import phrase

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["ChatTokenizer", "EncodedChat", "RenderedChat", "TemplateFault", "TemplateUnusable", "load_tokenizer"]

LARGEST_FILE = 256 * 1024 * 1024
SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")

REWRITTEN = phrase(
    "the chat template rewrites earlier turns, so that their answers cannot be told apart and are not learnt"
)
UNASKED = phrase("the conversation begins with the assistant; that turn, which answers nothing, is not learnt")
ACROSS = phrase("a token stands across the border of an answer; it is not learnt")


class RenderedChat(Struct, frozen=True):
    """A conversation as text, the (start, end) of what is learnt in it, and what could not be done as asked."""

    text: str
    stretches: tuple[tuple[int, int], ...]
    faults: tuple[str, ...] = ()


class EncodedChat(Struct, frozen=True):
    """A conversation as token ids, and the (first, end) of those that the assistant said.

    ``faults`` says in words what could not be done as asked.
    """

    ids: list[int]
    learnt: tuple[tuple[int, int], ...]
    faults: tuple[str, ...] = ()

    @property
    def mask(self) -> list[int]:
        """For each id 1 if the assistant said it, else 0."""
        mask = [0] * len(self.ids)
        for first, end in self.learnt:
            mask[first:end] = [1] * (end - first)
        return mask


class ChatTokenizer:
    """Renders and tokenises conversations. Make one with ``load_tokenizer``."""

    def __init__(self, tokenizer: Tokenizer, special_tokens: dict[str, str], chat_template: str | None) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self._special_tokens = special_tokens
        self._source = chat_template
        self._template = ChatTemplate(chat_template, special_tokens) if chat_template else None
        identity = [tokenizer.to_str(), chat_template, special_tokens]
        self.fingerprint = sha256_bytes(json.dumps(identity, sort_keys=True).encode())
        self.bos_token_id = self._id_of(special_tokens.get("bos_token"))
        self.eos_token_id = self._id_of(special_tokens.get("eos_token"))
        self.pad_token_id = self._id_of(special_tokens.get("pad_token"))
        after_answer = self._after_an_answer()
        self._writes_answers = after_answer is not None
        self.stop_token_ids = self._stop_tokens(after_answer or "")
        control = [t.content for t in tokenizer.get_added_tokens_decoder().values() if t.special]
        self._control, self._control_signs = _any_of(control), {token[0] for token in control if token}

    def __reduce__(self) -> tuple[type[ChatTokenizer], tuple[Tokenizer, dict[str, str], str | None]]:
        """Another process makes it again."""
        return ChatTokenizer, (self._tokenizer, self._special_tokens, self._source)

    @property
    def has_chat_template(self) -> bool:
        """Whether conversations can be rendered at all."""
        return self._template is not None

    def _id_of(self, token: str | None) -> int | None:
        found: int | None = self._tokenizer.token_to_id(token) if token else None
        return found

    def _after_an_answer(self) -> str | None:
        """What the template writes right after an answer; None for a template that leaves answers out."""
        if self._template is None:
            return ""
        answer = "fertig"
        try:
            text = self.render([{"role": "user", "content": "a"}, {"role": "assistant", "content": answer}])
        except TemplateFault:  # it is told when a conversation is rendered
            return ""
        _, found, after = text.rpartition(answer)
        return after if found else None

    def _stop_tokens(self, after_answer: str) -> tuple[int, ...]:
        """End-of-sequence, and the control token that the template writes right after an answer."""
        stops = [self.eos_token_id] if self.eos_token_id is not None else []
        ids = self.encode(after_answer)[:1]
        special = self._tokenizer.get_added_tokens_decoder()
        return (*stops, *(end for end in ids if end in special and end not in stops))

    # --- text ---------------------------------------------------------------------------------

    def render(self, messages: list[Message], *, add_generation_prompt: bool = False) -> str:
        """The conversation as text. Raises TemplateFault."""
        if self._template is None:
            raise TemplateFault(phrase("the model has no chat template"))
        return self._template.render(messages, add_generation_prompt=add_generation_prompt)

    def encode(self, text: str) -> list[int]:
        """Ids of a text; no special tokens are added, those written in the text are recognised."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def control_token_in(self, text: str) -> str | None:
        """The first control token (``<|im_end|>``) that a text holds, which would be taken for a real one."""
        if self._control is None or not any(sign in text for sign in self._control_signs):
            return None
        found = self._control.search(text)
        return found[0] if found is not None else None

    def encode_prompt(self, messages: list[Message]) -> list[int]:
        """Ids of a conversation that the assistant is to continue. Raises TemplateFault."""
        return self.encode(self.render(messages, add_generation_prompt=True))

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of plain texts with the tokenizer's own special tokens, each ended by end-of-sequence."""
        found: list[list[int]] = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts)]
        for ids in found:
            if self.eos_token_id is not None and (not ids or ids[-1] != self.eos_token_id):
                ids.append(self.eos_token_id)
        return found

    def decode(self, ids: list[int], *, skip_special_tokens: bool = True) -> str:
        """Text of ids."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens)
        return text

    # --- conversations --------------------------------------------------------------------------

    def render_chat(self, messages: list[Message], *, learnt_from: int = 0) -> RenderedChat:
        """A conversation as text with the places of the answers from the message ``learnt_from`` on.

        Raises TemplateFault.
        """
        if self._template is None:
            raise TemplateFault(phrase("the model has no chat template"))
        if not self._writes_answers:  # some take parts alone, and pass over a text without a word
            raise TemplateUnusable(phrase("it does not write what the assistant says"))
        text, stretches = self._template.render_with_stretches(messages)
        if stretches and learnt_from:
            asked, answers = messages[:learnt_from], [m["role"] for m in messages].count("assistant")
            before = [m["role"] for m in asked].count("assistant")
            stretches = stretches[before:] if len(stretches) == answers else []
        if stretches:
            return RenderedChat(text, tuple(stretches))
        return self._answers_by_prefix(messages, text, learnt_from)

    def encode_chats(self, chats: Sequence[RenderedChat]) -> list[EncodedChat]:
        """Ids and masks of conversations, tokenised together on all cores."""
        encodings = self._tokenizer.encode_batch([chat.text for chat in chats], add_special_tokens=False)
        return [
            self._masked(chat, encoding.ids, encoding.offsets) for chat, encoding in zip(chats, encodings, strict=True)
        ]

    def _answers_by_prefix(self, messages: list[Message], text: str, learnt_from: int) -> RenderedChat:
        """Where the answers stand, found by rendering the conversation up to each of them.

        Some templates rewrite earlier turns (they drop old reasoning, say); then the text up to an
        earlier answer is no beginning of the whole, and that answer cannot be told apart.
        """
        stretches: list[tuple[int, int]] = []
        faults: dict[str, None] = {}
        for number, message in enumerate(messages):
            if message["role"] != "assistant" or number < learnt_from:
                continue
            last = number == len(messages) - 1
            before = self._rendered(messages[:number], add_generation_prompt=True)
            upto = text if last else self._rendered(messages[: number + 1])
            if before is not None and upto is not None and upto.startswith(before) and text.startswith(upto):
                stretches.append((len(before), len(upto)))
                continue
            found = self._last_answer(text, message) if last else None
            if found is not None:
                stretches.append(found)
                continue
            asked = any(earlier["role"] == "user" for earlier in messages[:number])
            faults[REWRITTEN if asked else UNASKED] = None
        return RenderedChat(text, tuple(stretches), tuple(faults))

    def _rendered(self, messages: list[Message], *, add_generation_prompt: bool = False) -> str | None:
        try:
            return self.render(messages, add_generation_prompt=add_generation_prompt)
        except TemplateUnusable:
            raise
        except TemplateFault:  # a template may refuse a conversation that is cut short
            return None

    @staticmethod
    def _last_answer(text: str, message: Message) -> tuple[int, int] | None:
        """The last answer by its own text, for templates whose generation prompt is not what they write."""
        start = text.rfind(message["content"].strip())
        return (start, len(text)) if start >= 0 and message["content"].strip() else None

    def _masked(self, chat: RenderedChat, ids: list[int], offsets: list[tuple[int, int]]) -> EncodedChat:
        """The ids that stand in the text's stretches: what TRL learns, up to the line end that many templates write."""
        learnt: list[tuple[int, int]] = []
        faults = chat.faults
        for begin, end in chat.stretches:
            first = bisect_left(offsets, (begin,))
            if first and offsets[first - 1][1] > begin:
                faults = (*faults, ACROSS) if ACROSS not in faults else faults
            last = bisect_left(offsets, (end,))
            if last > first:
                learnt.append((first, last))
        return EncodedChat(ids, tuple(learnt), faults)

    # --- on disk --------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write what ``AutoTokenizer.from_pretrained`` loads. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(self._tokenizer.to_str(pretty=True), encoding="utf-8")
        config: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
            **self._special_tokens,
        }
        (folder / "tokenizer_config.json").write_text(
            json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        if self._source is not None:
            (folder / "chat_template.jinja").write_text(self._source, encoding="utf-8")


def _any_of(tokens: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern of any of some control tokens; single characters are no marks that people would know."""
    wanted = sorted({token for token in tokens if len(token) > 2}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, wanted))) if wanted else None


def load_tokenizer(
    facts: ModelFacts, *, chat_template: str | None = None
) -> tuple[ChatTokenizer | None, list[Diagnostic]]:
    """The tokenizer of a model on this disk; ``chat_template`` replaces the model's own."""
    try:
        if facts.path is not None and facts.path.is_file():
            from compiler.data.gguf_tokenizer import from_gguf

            tokenizer, special_tokens, own_template = from_gguf(facts.path)
        else:
            tokenizer, special_tokens, own_template = _from_files(facts.tokenizer_files)
    except TokenizerFault as fault:
        return None, [
            Diagnostic(fault.code, phrase("{name}: {fault}", name=facts.id, fault=str(fault)), help=fault.help)
        ]
    try:
        return ChatTokenizer(tokenizer, special_tokens, chat_template or own_template), []
    except TemplateFault as fault:
        where = phrase(" (line {line})", line=fault.line) if fault.line else ""
        message = phrase(
            "the chat template of {id} cannot be used: {fault}{where}", id=facts.id, fault=fault, where=where
        )
        return None, [Diagnostic("M031", message, help=phrase("name a template of your own in [model] chat_template"))]


class TokenizerFault(Exception):  # noqa: N818 - told as a diagnostic by load_tokenizer
    """A tokenizer that cannot be loaded, with its code and the remedy."""

    def __init__(self, code: str, message: str, help_text: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.help = help_text


def _from_files(files: tuple[Path, ...]) -> tuple[Tokenizer, dict[str, str], str | None]:
    from tokenizers import Tokenizer

    by_name = {file.name: file for file in files}
    if "tokenizer.json" not in by_name:
        kinds = (
            phrase("only a SentencePiece tokenizer.model")
            if "tokenizer.model" in by_name
            else phrase("no tokenizer.json")
        )
        help_text = phrase("AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) of transformers writes one")
        raise TokenizerFault("M020", phrase("there is {kinds}", kinds=kinds), help_text)
    try:
        tokenizer = Tokenizer.from_file(str(by_name["tokenizer.json"]))
    except Exception as error:  # the library raises a bare Exception for whatever it cannot read
        raise TokenizerFault(
            "M021", phrase("tokenizer.json cannot be read: {error}", error=error), phrase("download it again")
        ) from error
    config = _json(by_name.get("tokenizer_config.json")) | {}
    special: dict[str, str] = {}
    for source in (_json(by_name.get("special_tokens_map.json")), config):
        for name in SPECIAL:
            value = source.get(name)
            text = value.get("content") if isinstance(value, dict) else value
            if isinstance(text, str):
                special[name] = text
    return tokenizer, special, _own_template(by_name, config)


def _own_template(by_name: dict[str, Path], config: dict[str, Any]) -> str | None:
    """The model's chat template: a file of its own, else the tokenizer config's (``default`` of several)."""
    if "chat_template.jinja" in by_name:
        try:
            return by_name["chat_template.jinja"].read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TokenizerFault("M031", phrase("chat_template.jinja cannot be read: {error}", error=error)) from error
    if "chat_template.json" in by_name:
        config = _json(by_name["chat_template.json"])
    template = config.get("chat_template")
    if isinstance(template, list):
        named = {t.get("name"): t.get("template") for t in template if isinstance(t, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _json(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise TokenizerFault("M021", phrase("{name} is larger than any tokenizer's", name=path.name))
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TokenizerFault(
            "M021", phrase("{name} cannot be read: {error}", name=path.name, error=error), phrase("download it again")
        ) from error
    return found if isinstance(found, dict) else {}
