"""A model's tokenizer and chat template, in light code: text to ids, with the loss mask built beside them.

The ids are those of ``apply_chat_template(tokenize=True)`` of Transformers (tests compare); the mask
marks what the assistant said, its end-of-turn token included, so that the model learns to stop.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.data.chat_template import ChatTemplate, Message
from compiler.data.sandbox import TemplateFault
from compiler.diagnostics import Diagnostic
from compiler.facts.hashes import sha256_bytes
from compiler.facts.models import ModelFacts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["ChatTokenizer", "EncodedChat", "TemplateFault", "load_tokenizer"]

LARGEST_FILE = 256 * 1024 * 1024
SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")


@dataclass(frozen=True, slots=True)
class EncodedChat:
    """A conversation as token ids, and for each id 1 if the assistant said it, else 0.

    ``faults`` says in words what could not be done as asked (“only the last answer is learnt”).
    """

    ids: list[int]
    mask: list[int]
    faults: tuple[str, ...] = ()


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
        self.bos_token_id, self.eos_token_id, self.pad_token_id, self.unk_token_id = (
            self._id_of(special_tokens.get(name)) for name in SPECIAL
        )
        self._writes_answers = True
        self.stop_token_ids = self._stop_tokens()

    @property
    def has_chat_template(self) -> bool:
        """Whether conversations can be rendered at all."""
        return self._template is not None

    def _id_of(self, token: str | None) -> int | None:
        found: int | None = self._tokenizer.token_to_id(token) if token else None
        return found

    def _stop_tokens(self) -> tuple[int, ...]:
        """End-of-sequence, and the token that the template writes right after an answer."""
        stops = [self.eos_token_id] if self.eos_token_id is not None else []
        try:
            end = self._end_of_turn()
        except TemplateFault:  # it is told when a conversation is rendered
            end = None
        if end is not None and end not in stops:
            stops.append(end)
        return tuple(stops)

    def _end_of_turn(self) -> int | None:
        if self._template is None:
            return None
        answer = "fertig"
        text = self.render([{"role": "user", "content": "a"}, {"role": "assistant", "content": answer}])
        _, found, after = text.rpartition(answer)
        self._writes_answers = bool(found)
        ids = self.encode(after) if found else []
        special = self._tokenizer.get_added_tokens_decoder()
        return ids[0] if ids and ids[0] in special else None

    # --- text ---------------------------------------------------------------------------------

    def render(self, messages: list[Message], *, add_generation_prompt: bool = False) -> str:
        """The conversation as text. Raises TemplateFault."""
        if self._template is None:
            raise TemplateFault("the model has no chat template")
        return self._template.render(messages, add_generation_prompt=add_generation_prompt)

    def encode(self, text: str) -> list[int]:
        """Ids of a text; no special tokens are added, those written in the text are recognised."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def encode_prompt(self, messages: list[Message]) -> list[int]:
        """Ids of a conversation that the assistant is to continue. Raises TemplateFault."""
        return self.encode(self.render(messages, add_generation_prompt=True))

    def encode_text(self, text: str) -> list[int]:
        """Ids of a plain text with the tokenizer's own special tokens, ended by end-of-sequence."""
        ids: list[int] = self._tokenizer.encode(text).ids
        if self.eos_token_id is not None and (not ids or ids[-1] != self.eos_token_id):
            ids.append(self.eos_token_id)
        return ids

    def decode(self, ids: list[int], *, skip_special_tokens: bool = True) -> str:
        """Text of ids."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens)
        return text

    # --- conversations --------------------------------------------------------------------------

    def encode_chat(self, messages: list[Message]) -> EncodedChat:
        """Ids and mask of a whole conversation, tokenised once. Raises TemplateFault."""
        if self._template is None:
            raise TemplateFault("the model has no chat template")
        if not self._writes_answers:  # some take parts alone, and pass over a text without a word
            raise TemplateFault("it does not write what the assistant says")
        text, stretches = self._template.render_with_stretches(messages)
        faults: tuple[str, ...] = ()
        if not stretches:
            stretches, faults = self._answers_by_prefix(messages, text)
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        mask, straddling = self._mask(encoding.ids, encoding.offsets, stretches)
        if straddling:
            faults = (
                *faults,
                f"{straddling} tokens stand across the border of an answer; they are not learnt",
            )
        return EncodedChat(encoding.ids, mask, faults)

    def _answers_by_prefix(self, messages: list[Message], text: str) -> tuple[list[tuple[int, int]], tuple[str, ...]]:
        """Where the answers stand, found by rendering the conversation up to each of them.

        Some templates rewrite earlier turns (they drop old reasoning, say); then the text up to an
        earlier answer is no beginning of the whole, and that answer cannot be told apart.
        """
        stretches: list[tuple[int, int]] = []
        lost = 0
        for number, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = self._rendered(messages[:number], add_generation_prompt=True)
            upto = text if number == len(messages) - 1 else self._rendered(messages[: number + 1])
            if before is None or upto is None or not (upto.startswith(before) and text.startswith(upto)):
                found = self._last_answer(text, message) if number == len(messages) - 1 else None
                if found is None:
                    lost += 1
                    continue
                stretches.append(found)
                continue
            stretches.append((len(before), len(upto)))
        if not lost:
            return stretches, ()
        return stretches, (f"the template rewrites earlier turns: {lost} answers are not learnt",)

    def _rendered(self, messages: list[Message], *, add_generation_prompt: bool = False) -> str | None:
        try:
            return self.render(messages, add_generation_prompt=add_generation_prompt)
        except TemplateFault:  # a template may refuse a conversation that is cut short
            return None

    @staticmethod
    def _last_answer(text: str, message: Message) -> tuple[int, int] | None:
        """The last answer by its own text, for templates whose generation prompt is not what they write."""
        start = text.rfind(message["content"].strip())
        return (start, len(text)) if start >= 0 and message["content"].strip() else None

    def _mask(
        self, ids: list[int], offsets: list[tuple[int, int]], stretches: list[tuple[int, int]]
    ) -> tuple[list[int], int]:
        """1 for ids inside a stretch up to its end-of-turn token; also how many stand across a start."""
        mask = [0] * len(ids)
        straddling = 0
        starts = [start for start, _ in offsets]
        for begin, end in stretches:
            first = bisect_left(starts, begin)
            if first and offsets[first - 1][1] > begin:
                straddling += 1
            last = bisect_left(starts, end)
            # What follows the end of turn (a line end, as a rule) is the template's, not the assistant's.
            stop = next((i for i in range(last - 1, first - 1, -1) if ids[i] in self.stop_token_ids), last - 1)
            for i in range(first, stop + 1):
                mask[i] = 1
        return mask, straddling

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
        return None, [Diagnostic(fault.code, f"{facts.id}: {fault}", help=fault.help)]
    try:
        return ChatTokenizer(tokenizer, special_tokens, chat_template or own_template), []
    except TemplateFault as fault:
        where = f" (line {fault.line})" if fault.line else ""
        message = f"the chat template of {facts.id} cannot be used: {fault}{where}"
        return None, [Diagnostic("M031", message, help="name a template of your own in [model] chat_template")]


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
        kinds = "only a SentencePiece tokenizer.model" if "tokenizer.model" in by_name else "no tokenizer.json"
        help_text = "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) of transformers writes one"
        raise TokenizerFault("M020", f"there is {kinds}", help_text)
    try:
        tokenizer = Tokenizer.from_file(str(by_name["tokenizer.json"]))
    except Exception as error:  # the library raises a bare Exception for whatever it cannot read
        raise TokenizerFault("M021", f"tokenizer.json cannot be read: {error}", "download it again") from error
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
            raise TokenizerFault("M031", f"chat_template.jinja cannot be read: {error}") from error
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
            raise TokenizerFault("M021", f"{path.name} is larger than any tokenizer's")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TokenizerFault("M021", f"{path.name} cannot be read: {error}", "download it again") from error
    return found if isinstance(found, dict) else {}
