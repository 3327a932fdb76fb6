"""Tokenising: the ids that Transformers makes, and a mask of exactly the answers with their end-of-turn tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from compiler.data.chat_template import FIXED_DATE
from compiler.data.rendering import TemplateUnusable
from compiler.data.tokenizer import (
    ACROSS,
    REWRITTEN,
    UNASKED,
    ChatTokenizer,
    EncodedChat,
    TemplateFault,
    load_tokenizer,
)
from compiler.facts.models import ModelFacts
from tests.compiler.data.conftest import CHATML, SPECIAL, byte_tokenizer, encode_chat, encode_text, said, texts, tiny
from tests.compiler.data.test_chat_template import CONVERSATIONS, PARTS_ONLY, TEMPLATES, messages

END = "<|im_end|>"
TALKS = {name: messages(turns) for name, turns in CONVERSATIONS.items() if name != "spaces"}
"""Conversations in which no answer begins with a line end, which the template's own would swallow."""

turns = st.lists(st.tuples(said, said), min_size=1, max_size=4)


def conversation(pairs: list[tuple[str, str]], *, system: str | None = None) -> list[dict[str, str]]:
    before = [] if system is None else [("system", system)]
    return messages([*before, *(turn for q, a in pairs for turn in (("user", q), ("assistant", a)))])


def learnt(tokenizer: ChatTokenizer, encoded: EncodedChat) -> list[str]:
    """The texts of the runs of ids that are learnt."""
    runs: list[list[int]] = [[]]
    for number, said_by_assistant in zip(encoded.ids, encoded.mask, strict=True):
        if said_by_assistant:
            runs[-1].append(number)
        elif runs[-1]:
            runs.append([])
    return [tokenizer.decode(run, skip_special_tokens=False) for run in runs if run]


# --- the mask ------------------------------------------------------------------------------------------------


@given(pairs=turns, system=st.one_of(st.none(), texts.filter(lambda t: not {"\ue0f0", "\ue0f1"} & set(t))))
def test_exactly_the_answers_and_their_ends_are_learnt(pairs: list[tuple[str, str]], system: str | None) -> None:
    tokenizer = tiny()
    talk = conversation(pairs, system=system)
    encoded = encode_chat(tokenizer, talk)
    assert learnt(tokenizer, encoded) == [f"{answer}{END}\n" for _, answer in pairs]
    assert set(encoded.mask) <= {0, 1}
    assert encoded.ids == tokenizer.encode(tokenizer.render(talk))
    assert encoded.faults == ()


def test_the_real_small_model_learns_the_same(smollm: ChatTokenizer) -> None:
    for talk in TALKS.values():
        answers = [m["content"] for m in talk if m["role"] == "assistant"]
        encoded = encode_chat(smollm, talk)
        assert learnt(smollm, encoded) == [f"{answer}{END}\n" for answer in answers]
        assert encoded.faults == ()


@given(pairs=turns)
def test_a_generation_tag_says_what_is_learnt(pairs: list[tuple[str, str]]) -> None:
    content = "{{ message['content'] }}<|im_end|>{{ '\\n' }}"
    tagged = CHATML.replace(content, f"{{% generation %}}{content}{{% endgeneration %}}")
    only_answers = tiny(
        tagged.replace("{% generation %}", "{% if message.role == 'assistant' %}{% generation %}").replace(
            "{% endgeneration %}", f"{{% endgeneration %}}{{% else %}}{content}{{% endif %}}"
        )
    )
    talk = conversation(pairs)
    assert encode_chat(only_answers, talk) == encode_chat(tiny(), talk)
    assert learnt(tiny(tagged), encode_chat(tiny(tagged), talk)) == [f"{m['content']}{END}\n" for m in talk]


def test_the_prompt_is_the_beginning_of_the_whole(smollm: ChatTokenizer) -> None:
    for talk in TALKS.values():
        prompt, encoded = smollm.encode_prompt(talk[:-1]), encode_chat(smollm, talk)
        assert encoded.ids[: len(prompt)] == prompt
        assert encoded.mask[len(prompt) :] == [1] * (len(encoded.ids) - len(prompt))


def test_answers_that_cannot_be_told_apart_are_not_learnt_and_said_to_be() -> None:
    """A template that drops the reasoning of all turns but the last."""
    content = "{{ message['content'] }}"
    dropping = "{{ message['content'] if loop.last else message['content'].split('|')[-1] }}"
    tokenizer = tiny(CHATML.replace(content, dropping))
    encoded = encode_chat(tokenizer, conversation([("a", "think|b"), ("c", "think|d"), ("e", "think|f")]))
    assert learnt(tokenizer, encoded) == [f"think|f{END}\n"]
    assert encoded.faults == (REWRITTEN,)


def test_a_first_turn_of_the_assistant_is_not_the_templates_fault(smollm: ChatTokenizer) -> None:
    talk = messages([("assistant", "Bonjour !"), ("user", "a"), ("assistant", "b")])
    encoded = encode_chat(smollm, talk)
    assert learnt(smollm, encoded) == [f"b{END}\n"]
    assert encoded.faults == (UNASKED,)


def test_a_template_may_refuse_a_conversation_that_is_cut_short() -> None:
    refusing = tiny("{{ raise_exception('no messages') if not messages }}" + CHATML)
    encoded = encode_chat(refusing, messages([("assistant", "Bonjour !"), ("user", "a"), ("assistant", "b")]))
    assert learnt(refusing, encoded) == [f"b{END}\n"]
    assert encoded.faults == (UNASKED,)


@given(pairs=turns, kept=st.integers(1, 4))
def test_what_stands_before_the_first_message_to_learn_is_not_learnt(pairs: list[tuple[str, str]], kept: int) -> None:
    talk = conversation(pairs)
    content = "{{ message['content'] }}<|im_end|>{{ '\\n' }}"
    tagged = CHATML.replace(
        content,
        f"{{% if message.role == 'assistant' %}}{{% generation %}}{content}{{% endgeneration %}}"
        f"{{% else %}}{content}{{% endif %}}",
    )
    for tokenizer in (tiny(), tiny(tagged)):
        encoded = encode_chat(tokenizer, talk, learnt_from=max(0, len(talk) - 2 * kept))
        assert learnt(tokenizer, encoded) == [f"{answer}{END}\n" for _, answer in pairs[-kept:]]
        assert encoded.ids == encode_chat(tokenizer, talk).ids


def test_a_last_answer_is_found_by_its_text_where_the_prompt_is_another() -> None:
    """A template whose generation prompt opens a block that the rendered turn does not have."""
    tokenizer = tiny(CHATML.replace("assistant{{ '\\n' }}", "assistant{{ '\\n' }}<think>"))
    encoded = encode_chat(tokenizer, conversation([("a", "b c")]))
    assert learnt(tokenizer, encoded) == [f"b c{END}\n"]
    assert encoded.faults == ()


def test_a_token_across_the_border_is_not_learnt_and_said_to_be() -> None:
    tokenizer = tiny(
        "{% for m in messages %}{{ 'x' if m.role == 'user' }}{{ m.content }}{{ '<|im_end|>' if m.role == 'assistant' }}"
        "{% endfor %}"
    )
    encoded = encode_chat(tokenizer, conversation([("xa", "nb")]))  # a and n are merged
    assert learnt(tokenizer, encoded) == [f"b{END}"]
    assert encoded.faults == (ACROSS,)


# --- end of turn -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "special", "stops"),
    [
        (CHATML, SPECIAL, ["<|im_end|>"]),
        (CHATML, SPECIAL | {"eos_token": "<s>"}, ["<s>", "<|im_end|>"]),
        (CHATML.replace("<|im_end|>", "\\n"), SPECIAL, ["<|im_end|>"]),
        ("{{ bos_token }}{% for m in messages %}{{ m.content | upper }}{% endfor %}", SPECIAL, ["<|im_end|>"]),
        ("{{ raise_exception('no') }}", SPECIAL, ["<|im_end|>"]),
        (None, SPECIAL, ["<|im_end|>"]),
        (None, {}, []),
    ],
)
def test_stop_tokens_end_a_sequence_or_an_answer(
    template: str | None, special: dict[str, str], stops: list[str]
) -> None:
    tokenizer = ChatTokenizer(byte_tokenizer(), special, template)
    assert [tokenizer.decode([stop], skip_special_tokens=False) for stop in tokenizer.stop_token_ids] == stops


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{{ m.role }}{% endfor %}",
        "{% for m in messages %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endfor %}",
    ],
)
def test_a_template_that_drops_the_answers_is_refused(template: str) -> None:
    with pytest.raises(TemplateFault, match="does not write what the assistant says"):
        encode_chat(tiny(template), conversation([("a", "b")]))


def test_without_a_template_there_are_no_conversations() -> None:
    tokenizer = tiny(None)
    assert not tokenizer.has_chat_template
    for render in (tokenizer.render_chat, tokenizer.encode_prompt):
        with pytest.raises(TemplateFault, match="no chat template"):
            render(conversation([("a", "b")]))


# --- texts ------------------------------------------------------------------------------------------------------


@given(texts)
def test_a_text_survives_and_ends_once(text: str) -> None:
    tokenizer = tiny()
    assert tokenizer.decode(tokenizer.encode(text)) == text
    ids = encode_text(tokenizer, text)
    assert ids == [*tokenizer.encode(text), tokenizer.eos_token_id]
    assert encode_text(tokenizer, text + END) == ids


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("plain", None),
        ("a < b", None),
        ("im_end", None),
        ("<|im_en", None),
        ("a <|im_end|> b <s>", "<|im_end|>"),
        ("<s>a", "<s>"),
    ],
)
def test_control_tokens_in_a_text_are_seen(text: str, token: str | None) -> None:
    assert tiny().control_token_in(text) == token


def test_tokens_that_are_no_control_tokens_are_text() -> None:
    raw = byte_tokenizer()
    raw.add_tokens(["<think>"])
    raw.add_special_tokens(["[INST]"])
    tokenizer = ChatTokenizer(raw, SPECIAL, CHATML)
    assert tokenizer.control_token_in("<think>") is None
    assert tokenizer.control_token_in("a [INST] b") == "[INST]"


def test_a_template_that_uses_up_its_budget_is_not_taken_for_one_that_refuses_a_beginning() -> None:
    endless = "{% for i in range(100000) %}{% for j in range(100) %}{% endfor %}{% endfor %}"
    tokenizer = tiny(CHATML + f"{{% if add_generation_prompt %}}{endless}{{% endif %}}")
    with pytest.raises(TemplateUnusable):
        encode_chat(tokenizer, conversation([("a", "b")]))


def test_padding_and_truncation_of_the_file_do_not_matter() -> None:
    raw = byte_tokenizer()
    raw.enable_padding(length=50)
    raw.enable_truncation(5)
    tokenizer = ChatTokenizer(raw, SPECIAL, CHATML)
    assert tokenizer.encode("un texte") == tiny().encode("un texte")
    assert tokenizer.fingerprint == tiny().fingerprint


def test_the_fingerprint_changes_with_every_part() -> None:
    other = byte_tokenizer()
    other.add_tokens(["more"])
    made = [
        tiny(),
        tiny(None),
        tiny(CHATML + " "),
        ChatTokenizer(byte_tokenizer(), {}, CHATML),
        ChatTokenizer(other, SPECIAL, CHATML),
    ]
    assert len({tokenizer.fingerprint for tokenizer in made}) == len(made)
    assert ChatTokenizer(byte_tokenizer(), dict(reversed(SPECIAL.items())), CHATML).fingerprint == tiny().fingerprint


# --- files --------------------------------------------------------------------------------------------------------


def facts(folder: Path) -> ModelFacts:
    files = tuple(sorted(path for path in folder.iterdir() if path.is_file()))
    return ModelFacts("m", "folder", None, folder, None, (), files)


@pytest.mark.parametrize("template", [CHATML, None])
def test_what_is_saved_is_loaded(tmp_path: Path, template: str | None) -> None:
    tiny(template).save(tmp_path / "saved")
    loaded, problems = load_tokenizer(facts(tmp_path / "saved"))
    assert not problems
    assert loaded is not None
    assert loaded.fingerprint == tiny(template).fingerprint


NAMED = {"name": "default", "template": "named"}


@pytest.mark.parametrize(
    ("files", "rendered"),
    [
        ({"tokenizer_config.json": {"chat_template": "config"}}, "config"),
        ({"tokenizer_config.json": {"chat_template": "c"}, "chat_template.json": {"chat_template": "json"}}, "json"),
        ({"tokenizer_config.json": {"chat_template": "c"}, "chat_template.jinja": "file"}, "file"),
        ({"tokenizer_config.json": {"chat_template": [{"name": "rag", "template": "r"}, NAMED]}}, "named"),
        ({"tokenizer_config.json": {"eos_token": {"content": "<s>"}, "chat_template": "{{ eos_token }}"}}, "<s>"),
        ({"special_tokens_map.json": {"eos_token": "<pad>"}, "chat_template.jinja": "{{ eos_token }}"}, "<pad>"),
    ],
)  # fmt: skip
def test_the_template_is_found_wherever_models_keep_it(tmp_path: Path, files: dict[str, Any], rendered: str) -> None:
    byte_tokenizer().save(str(tmp_path / "tokenizer.json"))
    for name, content in files.items():
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    tokenizer, problems = load_tokenizer(facts(tmp_path))
    assert tokenizer is not None, problems
    assert tokenizer.render([]) == rendered
    replaced, _ = load_tokenizer(facts(tmp_path), chat_template="recipe's")
    assert replaced is not None
    assert replaced.render([]) == "recipe's"


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({}, "M020"),
        ({"tokenizer.model": b"x"}, "M020"),
        ({"tokenizer.json": b"{"}, "M021"),
        ({"tokenizer.json": b""}, "M021"),
        ({"tokenizer.json": None, "tokenizer_config.json": b"{"}, "M021"),
        ({"tokenizer.json": None, "tokenizer_config.json": b"\xff"}, "M021"),
        ({"tokenizer.json": None, "tokenizer_config.json": b"[" * 100_000}, "M021"),
        ({"tokenizer.json": None, "chat_template.jinja": b"\xff"}, "M031"),
        ({"tokenizer.json": None, "chat_template.jinja": b"{% if %}"}, "M031"),
    ],
)
def test_broken_files_are_told(tmp_path: Path, files: dict[str, bytes | None], code: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(byte_tokenizer().to_str().encode() if content is None else content)
    tokenizer, problems = load_tokenizer(facts(tmp_path))
    assert tokenizer is None
    assert [problem.code for problem in problems] == [code]
    assert problems[0].help or code == "M031"


# --- Transformers ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ids_and_masks_are_those_of_transformers(
    smollm: ChatTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over all chat templates that TRL and Unsloth ship, and the model's own, with the small model's tokenizer."""
    import transformers
    from transformers.utils import chat_template_utils

    class FixedDay(chat_template_utils.datetime):  # type: ignore[misc]  # a package without types
        @classmethod
        def now(cls, tz: object = None) -> Any:
            return cls(FIXED_DATE.year, FIXED_DATE.month, FIXED_DATE.day)

    monkeypatch.setattr(chat_template_utils, "datetime", FixedDay)
    smollm.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    special = {name: token for name, token in config.items() if name.endswith("_token")}
    ids = masks = 0
    for name, source in {"own": theirs.chat_template, **TEMPLATES}.items():
        ours = ChatTokenizer(Tokenizer.from_file(str(tmp_path / "tokenizer.json")), special, source)
        marked = "generation %}" in source.replace("-", " ") and END in source
        for kind, turns_of_one in CONVERSATIONS.items():
            talk = messages(turns_of_one)
            options = {"chat_template": source, "return_dict": True, "return_assistant_tokens_mask": marked}
            try:
                whole = theirs.apply_chat_template(talk, **options)
                asked = theirs.apply_chat_template(talk[:-1], add_generation_prompt=True, **options)
            except Exception:  # the template refuses, and so must ours
                with pytest.raises(TemplateFault):  # noqa: PT012 - one of the two is refused
                    encode_chat(ours, talk)
                    ours.encode_prompt(talk[:-1])
                continue
            assert ours.encode_prompt(talk[:-1]) == asked["input_ids"], name
            if name.startswith(PARTS_ONLY):
                continue
            encoded = encode_chat(ours, talk)
            assert encoded.ids == whole["input_ids"], name
            ids += 1
            if marked and kind in TALKS:
                assert encoded.mask == whole["assistant_masks"], name
                masks += 1
    assert ids > 300
    assert masks > 50
