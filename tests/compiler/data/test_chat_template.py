"""Chat templates: rendered as Transformers renders them, the same tomorrow, with the answers' places known."""

from __future__ import annotations

import json
from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment

from compiler.data.chat_template import FIXED_DATE, ChatTemplate, GenerationTag, Message, own_chat_template
from compiler.data.rendering import TemplateUnusable
from compiler.data.sandbox import TemplateFault
from tests.chat_templates import of_trl, of_unsloth
from tests.compiler.data.conftest import CHATML, said

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}
CONVERSATIONS = {
    "one turn": [("user", "Bonjour"), ("assistant", "Oui.")],
    "many turns": [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "<think>d</think>\n\ne")],
    "system": [("system", "Tu es juriste."), ("user", "a"), ("assistant", "b")],
    "empty system": [("system", ""), ("user", "a"), ("assistant", "b")],
    "accents": [("user", "Où est l'« été » ?"), ("assistant", "Là-bas, naïf cœur…")],
    "emoji": [("user", "👩‍👩‍👧 🇫🇷"), ("assistant", "🎉\n\n")],
    "spaces": [("user", "  a \n"), ("assistant", "\n b\t")],
}


def messages(turns: list[tuple[str, str]]) -> list[Message]:
    return [{"role": role, "content": content} for role, content in turns]


TEMPLATES = {**of_trl(), **of_unsloth()}
PARTS_ONLY = ("idefics3", "llava")
"""Templates that write nothing of a message whose content is a text."""


class PlainGeneration(GenerationTag):
    """The tag as Transformers has it when nobody asks for the mask."""

    def _mark(self, caller: Any) -> str:
        return str(caller())


@cache
def without_bounds(source: str) -> jinja2.Template:
    """A template in the sandbox that transformers.utils.chat_template_utils sets up."""

    def complain(message: str) -> None:
        raise jinja2.TemplateError(message)

    extensions = [PlainGeneration, jinja2.ext.loopcontrols]
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
    environment.globals |= {"raise_exception": complain, "strftime_now": FIXED_DATE.strftime}
    return environment.from_string(source)


def plainly(source: str, conversation: list[Message], *, ask: bool) -> str:
    values = {"messages": conversation, "tools": None, "documents": None, "add_generation_prompt": ask, **SPECIAL}
    return without_bounds(source).render(values)


@pytest.mark.parametrize("name", TEMPLATES)
def test_shipped_templates_render_as_without_bounds(name: str) -> None:
    template = ChatTemplate(TEMPLATES[name], SPECIAL)
    rendered = 0
    for turns in CONVERSATIONS.values():
        for ask, conversation in ((False, messages(turns)), (True, messages(turns[:-1]))):
            try:
                expected = plainly(TEMPLATES[name], conversation, ask=ask)
            except jinja2.TemplateError:  # it has no place for a system message, say
                with pytest.raises(TemplateFault):
                    template.render(conversation, add_generation_prompt=ask)
                continue
            rendered += 1
            assert template.render(conversation, add_generation_prompt=ask) == expected
    assert rendered or name.startswith(PARTS_ONLY)


WITH_STRETCHES = [name for name in TEMPLATES if "generation %}" in TEMPLATES[name].replace("-", " ")]


@pytest.mark.parametrize("name", [name for name in WITH_STRETCHES if not name.startswith(PARTS_ONLY)])
def test_stretches_lie_in_the_same_text_and_hold_the_answers_alone(name: str) -> None:
    template = ChatTemplate(TEMPLATES[name], SPECIAL)
    looked_at = 0
    for turns in CONVERSATIONS.values():
        conversation = messages(turns)
        try:
            text, stretches = template.render_with_stretches(conversation)
        except TemplateFault:
            continue
        looked_at += 1
        assert text == template.render(conversation)
        borders = [0, *(place for stretch in stretches for place in stretch), len(text)]
        assert borders == sorted(borders)
        pieces = [text[start:end] for start, end in pairwise(borders)]
        outside, inside = "".join(pieces[::2]), "".join(pieces[1::2])
        said_by = {role: [m["content"] for m in conversation if m["role"] == role] for role in ("user", "assistant")}
        assert all(answer.split("</think>")[-1].strip() in inside for answer in said_by["assistant"])
        assert all(question.strip() in outside for question in said_by["user"])
    assert looked_at


TAGGED = (
    "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<end>"
    "{% endgeneration %}{% else %}{{ m.content }}{% endif %}{{ '\\n' }}{% endfor %}"
)


@given(st.lists(st.tuples(said, said), min_size=1, max_size=4))
def test_a_generation_tag_marks_exactly_what_it_holds(pairs: list[tuple[str, str]]) -> None:
    conversation = messages([turn for q, a in pairs for turn in (("user", q), ("assistant", a))])
    text, stretches = ChatTemplate(TAGGED, {}).render_with_stretches(conversation)
    assert [text[start:end] for start, end in stretches] == [f"{answer}<end>" for _, answer in pairs]
    assert text == "".join(f"<user>{q}\n<assistant>{a}<end>\n" for q, a in pairs)


def test_a_template_without_the_tag_has_no_stretches() -> None:
    text, stretches = ChatTemplate(CHATML, {}).render_with_stretches(messages(CONVERSATIONS["many turns"]))
    assert stretches == []
    assert text.startswith("<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n")


@pytest.mark.parametrize("mark", ["\ue0f0", "\ue0f1"])
def test_a_message_cannot_pretend_to_be_marked(mark: str) -> None:
    for turns in ([("user", f"a{mark}"), ("assistant", "b")], [("user", "a"), ("assistant", f"{mark}b")]):
        with pytest.raises(TemplateFault, match="private-use"):
            ChatTemplate(TAGGED, {}).render(messages(turns))


def test_the_date_is_the_same_tomorrow() -> None:
    source = "{{ strftime_now('%d %b %Y') }}"
    assert ChatTemplate(source, {}).render([]) == "26 Jul 2024"
    assert ChatTemplate(source, {}, today=date(2020, 1, 2)).render([]) == "02 Jan 2020"


def test_what_a_template_refuses_is_told_in_its_words() -> None:
    template = ChatTemplate("{{ raise_exception('Roles must alternate') }}", {})
    with pytest.raises(TemplateFault, match="Roles must alternate"):
        template.render([])


@pytest.mark.parametrize(("source", "line"), [("a\n{% endfor %}", 2), ("{{ a", 1), ("{% generation %}", 1)])
def test_what_cannot_be_compiled_says_where(source: str, line: int) -> None:
    with pytest.raises(TemplateFault) as told:
        ChatTemplate(source, {})
    assert told.value.line == line


def test_special_tokens_and_loop_controls_are_there() -> None:
    source = (
        "{{ bos_token }}{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m.content }}{% endfor %}"
    )
    assert ChatTemplate(source, SPECIAL).render(messages(CONVERSATIONS["one turn"])) == "<s>Bonjour"


# --- a recipe's own ---------------------------------------------------------------------------------------------


def test_a_recipes_own_template_is_its_text(tmp_path: Path) -> None:
    (tmp_path / "chat.jinja").write_bytes(b"\xef\xbb\xbf{{ bos_token }}\r\nx")
    assert own_chat_template("chat.jinja", tmp_path, allow_outside=False) == ("{{ bos_token }}\nx", [])


@pytest.mark.parametrize(
    ("name", "data", "code", "said"),
    [
        ("none.jinja", None, "D001", "no chat template"),
        (".", None, "D001", "a folder"),
        ("/etc/passwd", None, "D002", "outside"),
        ("../chat.jinja", None, "D002", "outside"),
        ("chat.jinja", "é".encode("utf-16"), "M091", "UTF-8"),
        ("chat.jinja", b"a\n{% if %}", "D028", "chat template chat.jinja, line 2"),
        ("chat.jinja", b"a\n\n{{ m | indent }}", "D028", "chat template chat.jinja, line 3"),
        ("chat.jinja", b"x" * 200_000, "D028", "larger"),
    ],
)
def test_one_that_cannot_be_used_is_told_where_the_recipe_names_it(
    tmp_path: Path, name: str, data: bytes | None, code: str, said: str
) -> None:
    root = tmp_path / "recipe"
    root.mkdir()
    (tmp_path / "chat.jinja").write_text("x")
    if data is not None:
        (root / name).write_bytes(data)
    source, (problem,) = own_chat_template(name, root, allow_outside=False)
    assert source is None
    assert (problem.code, problem.path, problem.span) == (code, ("model", "chat_template"), None)
    assert said in problem.message
    assert problem.help


def test_what_the_sandbox_stops_is_told_apart_from_what_a_template_refuses() -> None:
    for source in (
        "{% for i in range(100000) %}{% for j in range(100) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 9999999 }}",
    ):
        with pytest.raises(TemplateUnusable):
            ChatTemplate(f"a\n{source}", {}).render([])
    with pytest.raises(TemplateFault) as told:
        ChatTemplate("a\n{{ raise_exception('no') }}", {}).render([])
    assert not isinstance(told.value, TemplateUnusable)
    assert told.value.line == 2
