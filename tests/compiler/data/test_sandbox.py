"""The sandbox: no template gets out, runs on or blows up; what an honest one writes is what Jinja2 writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import suppress
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment

from compiler.data.sandbox import (
    FILTERS,
    LARGEST,
    LARGEST_TEMPLATE,
    TEXT_METHODS,
    BoundedEnvironment,
    TemplateFault,
    compile_bounded,
    render_bounded,
)

LOOP, END = "{% for i in range(1000) %}{% for j in range(1000) %}", "{% endfor %}{% endfor %}"
LONG = "{% set x = 'a' * 3999999 %}"
TWICE = "{% set x = '🎉' * 3999999 %}{% set y = x[:9] ~ x[9:] %}"
LIST = "{% set l = range(100000) | list %}"
TREE = "{% set n = namespace(a=1) %}{% for i in range(60) %}{% set n.a = (n.a, n.a) %}{% endfor %}"

ESCAPES = {
    "class": "{{ ''.__class__ }}",
    "class by item": "{{ ''['__class__'] }}",
    "class by filter": "{{ '' | attr('__class__') }}",
    "class by map": "{{ [''] | map(attribute='__class__') | list }}",
    "class by sort": "{{ ['', 'a'] | sort(attribute='__class__') }}",
    "class by select": "{{ [''] | selectattr('__class__') | list }}",
    "subclasses": "{{ [].__class__.__base__.__subclasses__() }}",
    "subclasses of dict": "{{ dict.__subclasses__() }}",
    "mro of a type": "{{ dict.mro() }}",
    "globals of a function": "{{ f.__globals__ }}",
    "globals of a class": "{{ cycler.__init__.__globals__ }}",
    "code": "{{ f.__code__ }}",
    "owner of a method": "{{ m.append.__self__ }}",
    "context": "{{ self._TemplateReference__context }}",
    "macro": "{% macro a() %}{% endmacro %}{{ a._func }}",
    "loop": "{% for x in [1] %}{{ loop._iterable }}{% endfor %}",
    "generator": "{{ ([1] | map('string')).gi_frame }}",
    "throw": "{{ ([1] | map('string')).throw }}",
    "format": "{{ '{0.__class__}'.format(1) }}",
    "format map": "{{ '{a.__class__}'.format_map({'a': 1}) }}",
    "format of safe": "{{ ('{0.__class__}' | safe).format(1) }}",
    "format by map": "{{ ['{0.__class__}'] | map('format', 1) | list }}",
    "import": "{% import 'os' as os %}{{ os }}",
    "from": "{% from 'os' import system %}{{ system }}",
    "include": "{% include '/etc/passwd' %}",
    "extends": "{% extends '/etc/passwd' %}",
    "lipsum": "{{ lipsum.__globals__ }}",
    "debug": "{% debug %}",
    "do": "{% do m.append(1) %}",
    "append": "{{ m.append(1) }}",
    "update": "{{ d.update({'a': 2}) }}",
    "an address": "{{ f }}",
    "an address in a list": "{{ [f] }}",
    "an address joined": "{{ f ~ '' }}",
    "an address by filter": "{{ f | string }}",
    "a generator's address": "{{ [1] | map('string') | map('string').x }}",
    "a macro's own": "{% macro a() %}{% endmacro %}{{ [a] }}",
}

BOMBS = {
    # more than LARGEST of anything
    "times": "{{ 'a' * 999999999 }}",
    "times a list": "{{ [1] * 999999999 }}",
    "power": "{{ 9 ** 9 ** 9 }}",
    "doubling numbers": f"{{% set n = namespace(a=1) %}}{LOOP}{{% set n.a = n.a - -n.a %}}{END}",
    "hexadecimal": "{{ ('f' * 4000000) | int(base=16) % 7 }}",
    "rounding": "{{ 1 | round(100000000, 'floor') }}",
    "rounding away": "{{ 1 | round(-1000000000) }}",
    "rounding text": "{{ 'a' | round(9, 'floor') }}",
    "doubling text": "{% set n = namespace(a='a') %}{% for i in range(99) %}{% set n.a = n.a ~ n.a %}{% endfor %}",
    "doubling lists": "{% set n = namespace(a=[1]) %}{% for i in range(99) %}{% set n.a = n.a + n.a %}{% endfor %}",
    "doubling blocks": "{% set a %}aa{% endset %}" + "{% set a %}{{ a }}{{ a }}{% endset %}" * 50,
    "doubling bytes": "{% set n = namespace(a='a'.encode()) %}" + LOOP + "{% set n.a = n.a + n.a %}" + END,
    "width": "{{ '%1999999999d' % 1 }}",
    "width of safe": "{{ ('%1999999999d' | safe) % 1 }}",
    "width by test": "{{ '%999999999d' is odd }}",
    "width by select": "{{ ['%999999999d'] | select('divisibleby', 1) | list }}",
    "width by format": "{{ '{:>999999999}'.format(1) }}",
    "width by filter": "{{ '%999999999d' | format(1) }}",
    "padding": "{{ 'a'.ljust(999999999) }}",
    "padding by map": "{{ ['a'] | map('center', 999999999) | list }}",
    "indent": "{{ 'a' | indent(999999999) }}",
    "indent of JSON": "{{ ([1] * 1000) | tojson(indent=4000000) }}",
    "separators of JSON": LONG + "{{ ([1] * 1000) | tojson(separators=(x, x)) }}",
    "deep JSON": TREE + "{{ n.a | tojson }}",
    "join": LONG + "{{ [" + "x, " * 1000 + "] | join | length }}",
    "join by method": LONG + "{{ ''.join([" + "x, " * 1000 + "]) | length }}",
    "separator": LONG + "{{ range(1000) | join(x) | length }}",
    "separator by method": LONG + "{{ x.join(['a'] * 1000) | length }}",
    "replace": LONG + "{{ x | replace('a', x) | length }}",
    "replace some": LONG + "{{ x[:99999] | replace('a', x[:99999]) | length }}",
    "replace by method": LONG + "{{ x.replace('', x) | length }}",
    "replace by name": LONG + "{{ x | replace(new=x, old='a') | length }}",
    "replace half by name": LONG + "{{ x | replace('a', new=x) | length }}",
    "translate": LONG + "{{ x[:99999].translate({97: x[:99999]}) | length }}",
    "sum of lists": "{{ [[1], [2]] | sum(start=[]) }}",
    "lorem ipsum": "{{ lipsum(999) | length }}",
    "macro": LONG + "{% macro a() %}{% for i in range(9999) %}{{ x }}{% endfor %}{% endmacro %}{{ a() | length }}",
    "escaping": "{{ ('&' * 3999999) | e | e }}",
    "output": "{% for i in range(100000) %}" + "a" * 1000 + "{% endfor %}",
    "same list again": "{% set a = ['a' * 999] * 999 %}{% set a = [a] * 999 %}{% set a = [a] * 999 %}{{ a }}",
    "same list as text": "{% set a = ['a' * 999] * 999 %}{% set a = [a] * 999 %}{{ a | string | length }}",
    "same list joined": "{% set a = ['a' * 999] * 999 %}{% set a = [a] * 999 %}{{ (a ~ '') | length }}",
    "default": LONG + "{{ ([{}] * 9999) | map(attribute='a', default=x) | list }}",
    "namespaces": "{% set n = namespace() %}{% set n.a = [n] * 9 %}{{ n.a }}",
    "memory": "{% set n = namespace(a=0) %}" + LOOP + "{% set n.a = namespace(a=n.a, b='é' * 3999990 ~ i ~ j) %}" + END,
    "a long complaint": LONG + "{{ complain(x) }}",
    # more than STEPS of work
    "loops": LOOP * 3 + END * 3,
    "loops over a list": LIST + "{% for a in l %}{% for b in l %}{% endfor %}{% endfor %}",
    "loops over nothing": LIST + "{% for a in l %}{% for b in l if false %}{% endfor %}{% endfor %}",
    "long bodies": LOOP + "{% if d.a %}{% endif %}" * 5000 + END,
    "a loop that calls itself": LIST + "{% for x in [-1] * 9000 recursive %}{{ loop(l) if x < 0 }}{% endfor %}",
    "a macro that calls itself": "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "a macro that calls itself twice": "{% macro a(n) %}{{ a(n - 1) ~ a(n - 1) if n }}{% endmacro %}{{ a(60) }}",
    "a long macro that calls itself twice": "{% macro a(n) %}"
    + "{% if d.a %}{% endif %}" * 5000
    + "{{ a(n - 1) ~ a(n - 1) if n }}{% endmacro %}{{ a(60) }}",
    "a block that calls itself": "{% block a %}{{ self.a() }}{% endblock %}",
    "another _counted": "{% macro _counted(x) %}{{ 'a' * 4000000 }}{% endmacro %}" + LOOP + END,
    "comparing": TWICE + LOOP + "{% if x == y %}{% endif %}" + END,
    "comparing by test": TWICE + LOOP + "{% if x is eq(y) %}{% endif %}" + END,
    "comparing trees": TREE + TREE.replace("n.a", "n.b").replace("(a=1", "(a=n.a, b=1") + "{{ n.a == n.b }}",
    "a tree as a key": TREE + "{{ {n.a: 1} }}",
    "a long key": "{% set k = ((1,),) * 40000 %}" + LOOP + "{% set y = d[k] %}" + END,
    "a long key by method": "{% set k = ((1,),) * 40000 %}" + LOOP + "{% set y = d.get(k) %}" + END,
    "searching": LONG + LOOP + "{% if 'aaaaaaab' in x %}{% endif %}" + END,
    "searching by test": LONG + LOOP + "{% if 'aaaaaaab' is in(x) %}{% endif %}" + END,
    "searching a list": LIST + LOOP + "{% if -1 in l %}{% endif %}" + END,
    "counting": LIST + LOOP + "{{ l.count('a') }}" + END,
    "searching backwards": LONG + "{{ x.rfind('ab' ~ x[:2000000]) }}",
    "searching badly": "{% set x = 'a' * 2499 %}{% set y = x[:1249] ~ 'b' %}" + LOOP + "{{ x.count(y) }}" + END,
    "stripping": LONG + "{{ x.strip('b' * 3999990 ~ 'a') }}",
    "trimming": LONG + "{{ x[:999999] | trim('b' * 999990 ~ 'a') }}",
    "slicing": LONG + LOOP + "{% set y = x[::-1] %}" + END,
    "joining": LONG + LOOP + "{% set y = x ~ 'a' %}" + END,
    "splitting": LONG + LOOP + "{% set y = x.split('a') %}" + END,
    "listing": LIST + LOOP + "{% set y = l | list %}" + END,
    "sorting": LIST + LOOP + "{% set y = l | sort %}" + END,
    "summing": LIST + LOOP + "{% set y = l | sum %}" + END,
    "writing lists": LIST + LOOP + "{% set y = l | string %}" + END,
    "upper case": LONG + LOOP + "{% set y = x | upper %}" + END,
    "titles": "{% set x = 'a ' * 1999999 %}" + LOOP + "{% set y = x | title %}" + END,
    "striptags": "{{ (('<!---->' * 499999) | safe).striptags() }}",
    "unpacking": LIST + LOOP + "{% set y = cycler(*l) %}" + END,
    "long literals": LOOP + "{% set y = [" + "1, " * 20000 + "] %}" + END,
    "literals worked out beforehand": LOOP + "{% set y = '" + "a" * 125000 + "' | list %}" + END,
    "long paths": "{{ ([{}] * 1000) | map(attribute='a.' * 100000, default={}) | list }}",
    "changes": TWICE + LOOP + "{{ loop.changed(x if j % 2 else y) }}" + END,
    # too much for the compiler
    "brackets": "{{ " + "[" * 5000 + "]" * 5000 + " }}",
    "ifs": "{% if 1 %}" * 5000 + "{% endif %}" * 5000,
    "a long sum": "{{ " + "1 + " * 20000 + "1 }}",
    "nested loops": "{% for a in 'a' %}" * 50 + "{% endfor %}" * 50,
    "a long number": "{{ " + "1" * 5000 + " }}",
}  # fmt: skip

PROGRAM = """
import json, os, resource, sys
from compiler.data import sandbox
from compiler.data.sandbox import BoundedEnvironment, TemplateFault, compile_bounded, render_bounded

sandbox.STEPS //= 10  # what a tenth of the budget stops, the whole one stops too

def outcome(source):
    environment = BoundedEnvironment(trim_blocks=True, lstrip_blocks=True)
    def complain(message):
        raise ValueError(message)
    try:
        template = compile_bounded(environment, source)
        values = {"f": complain, "complain": complain, "m": ["a"], "d": {"a": 1}}
        text = render_bounded(template, environment, values)[:100]
        return {"text": text, "kept": values["m"] == ["a"] and values["d"] == {"a": 1}}
    except TemplateFault as fault:
        return {"fault": str(fault)}

for name, source in json.load(sys.stdin).items():
    if not os.fork():
        resource.setrlimit(resource.RLIMIT_CPU, (5, 5))  # many times what the worst takes
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        print(json.dumps({name: outcome(source)}), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[str, Any]]:
    """What came of each template, rendered in a process of its own with little memory; killed ones are missing."""
    attacks = {
        f"{kind} {name}": source for kind, of in (("escape", ESCAPES), ("bomb", BOMBS)) for name, source in of.items()
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(attacks), capture_output=True, text=True, check=True
    )
    return {name: outcome for line in done.stdout.splitlines() for name, outcome in json.loads(line).items()}


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_gets_out(outcomes: dict[str, dict[str, Any]], name: str) -> None:
    outcome = outcomes[f"escape {name}"]
    assert outcome.get("fault") or outcome["kept"]
    assert not re.search("<|0x|root:", outcome.get("text", ""))  # no repr, no address, no file


@pytest.mark.parametrize("name", BOMBS)
def test_nothing_runs_on_or_blows_up(outcomes: dict[str, dict[str, Any]], name: str) -> None:
    fault = outcomes[f"bomb {name}"]["fault"]
    assert len(fault) < 600
    if name != "a long complaint":  # the others are stopped by the sandbox, and not by Python
        assert not re.match(r"\w+Error", fault)


# --- honest templates ------------------------------------------------------------------------------------

CONTEXT: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "  Vous êtes <juriste>. "},
        {"role": "user", "content": "Un été à l'« école » ?\n\n"},
        {"role": "assistant", "content": "<think>x</think>Oui 🎉."},
    ],
    "numbers": [3, 1, 2, 3],
    "tree": [{"name": "a", "children": [{"name": "b", "children": []}]}, {"name": "c", "children": []}],
    "title": "le code civil",
    "nothing": None,
    "share": 2.675,
}

SAMPLES = {
    "abs": "-3 | abs", "capitalize": "title | capitalize", "count": "numbers | count", "d": "missing | d('x')",
    "default": "'' | default('x', true)", "dictsort": "messages[0] | dictsort", "e": "messages[0].content | e",
    "escape": "'<&>' | escape", "first": "numbers | first", "float": "'1.5' | float", "int": "'f' | int(base=16)",
    "items": "messages[0] | items | list", "join": "numbers | join(', ')", "last": "numbers | last",
    "length": "messages | length", "list": "title | list", "lower": "'É' | lower",
    "map": "messages | map(attribute='role') | list", "max": "numbers | max", "min": "numbers | min",
    "reject": "numbers | reject('odd') | list", "rejectattr": "messages | rejectattr('role', 'eq', 'user') | list",
    "replace": "title | replace('c', '--', 1)", "reverse": "title | reverse", "round": "share | round(1, 'ceil')",
    "safe": "'<b>' | safe", "select": "numbers | select('greaterthan', 1) | list",
    "selectattr": "messages | selectattr('role', 'in', ['user']) | map(attribute='content') | first",
    "sort": "messages | sort(attribute='role', reverse=true)", "string": "share | string", "sum": "numbers | sum",
    "title": "title | title", "trim": "messages[0].content | trim", "truncate": "title | truncate(9, true, '…')",
    "unique": "numbers | unique | list", "upper": "title | upper", "wordcount": "title | wordcount",
    "tojson": "messages[1:] | tojson",
}  # fmt: skip

HONEST = [
    "{% for m in messages %}{{ loop.index }}{{ loop.length }}{{ (loop.previtem or m).role }}{% endfor %}",
    "{% for m in messages if m.role != 'user' %}{{ loop.index0 }}{{ m.role }}{% else %}none{% endfor %}",
    "{% for m in messages %}{{ loop.cycle('a', 'b') }}{{ loop.changed(m.role) }}{{ loop.revindex }}{% endfor %}",
    "{% for t in tree recursive %}{{ loop.depth }}{{ t.name }}{{ loop(t.children) }}{% endfor %}",
    "{% for k, v in messages[0].items() %}{{ k }}={{ v }};{% endfor %}{% for x in [] %}{% else %}empty{% endfor %}",
    "{% for c in 'été' %}{{ c }}.{% endfor %}{% for i in range(2, 9, 3) %}{{ i }}{% endfor %}",
    "{% set ns = namespace(a=[], t='') %}{% for m in messages %}{% set ns.a = ns.a + [m.role] %}"
    "{% set ns.t = ns.t ~ m.content[:2] %}{% endfor %}{{ ns.a }}{{ ns.t }}",
    "{% macro say(m, end='!') %}{{ m.role }}{{ varargs }}{{ end }}{{ caller() if caller }}{% endmacro %}"
    "{{ say(messages[0]) }}{{ say(messages[1], '?', 1) }}{% call say(messages[2]) %}inner{% endcall %}",
    "{% filter upper %}{{ title }}{% endfilter %}{% set block %}a{{ title }}b{% endset %}{{ block | length }}",
    "{{ 1 < 2 < 3 }}{{ 3 > 2 > 2 }}{{ 1 == 1.0 }}{{ 'a' != title }}{{ title == title }}{{ messages[0] in messages }}",
    "{{ 'code' in title }}{{ 'x' not in title }}{{ 3 in numbers }}{{ 'role' in messages[0] }}{{ 2 in range(5) }}",
    "{{ numbers[1:] }}{{ numbers[::-1] }}{{ title[3:7] }}{{ title[-1] }}{{ messages[0]['role'] }}{{ (1, 2)[0] }}",
    "{{ 7 // 2 }}{{ 7 % 2 }}{{ 2 ** 10 }}{{ 7 / 2 }}{{ -3 + 2 }}{{ 'a' * 3 }}{{ [1] + [2] }}{{ +1 - -1 }}",
    "{{ {'a': 1, 'é': [1, (2, none)]} }}{{ [] }}{{ () }}{{ {} }}{{ dict(a=1) }}{{ range(3) }}{{ 1.0 }}{{ nothing }}",
    "{{ missing }}|{{ missing is defined }}|{{ missing | default('d') }}|{{ nothing is none }}|{{ title is string }}",
    "{{ 'a' is in title }}{{ 3 is odd }}{{ 4 is divisibleby 2 }}{{ 1 is eq 1 }}{{ title is lower }}{{ 2 is gt 1 }}",
    "{{ title.split('d') | last | trim | upper }}{{ messages[2].content.split('</think>')[-1] }}",
    "{% if not title %}a{% elif title and numbers %}b{% endif %}{{ 'x' if nothing else 'y' }}{{ 'x' if nothing }}",
    "{% set a, b = 1, [2, 3] %}{{ a }}{{ b }}{% with c = 4 %}{{ c }}{% endwith %}{{ title ~ 1 ~ none ~ [2] }}",
    "  {% if true %}\n  kept\n{% endif %}\n{# no #}{%- raw %} {{ raw }} {% endraw -%}  end\n",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}",
    "{% block b %}{{ title }}{% endblock %}{{ self.b() }}",
]


def ours(source: str, values: dict[str, Any]) -> str:
    environment = BoundedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return render_bounded(compile_bounded(environment, source), environment, values)


def jinjas(source: str, values: dict[str, Any]) -> str:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, optimized=False)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(source).render(values)


@pytest.mark.parametrize("source", HONEST)
def test_honest_templates_write_what_jinja_writes(source: str) -> None:
    assert ours(source, CONTEXT) == jinjas(source, CONTEXT)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_each_filter_does_what_jinjas_does(name: str) -> None:
    source = f"{{{{ {SAMPLES[name]} }}}}"
    assert ours(source, CONTEXT) == jinjas(source, CONTEXT)


@pytest.mark.parametrize("name", sorted(TEXT_METHODS))
def test_each_method_does_what_pythons_does(name: str) -> None:
    arguments: dict[str, tuple[object, ...]] = {"join": (["a", "b"],), "replace": ("co", "XY")}
    searching = {"count", "endswith", "find", "index", "partition", "removeprefix", "removesuffix"}
    searching |= {"rfind", "rindex", "rpartition", "rsplit", "split", "startswith", "strip", "lstrip", "rstrip"}
    given = arguments.get(name, ("c",) if name in searching else ())
    written = ours(f"{{{{ title.{name}(*given) }}}}", {"title": "le Code civil", "given": given})
    assert written == str(getattr("le Code civil", name)(*given))


atoms = st.sampled_from(["1", "-2", "0.5", "'a'", "'ba'", "''", "x", "y", "l", "d", "none", "true", "missing", "[]"])
operators = st.sampled_from(["==", "!=", "<", ">=", "in", "not in", "+", "-", "*", "//", "~", "and", "or"])
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, operators, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, operators, inner, operators, inner).map(lambda t: f"({' '.join(t)})"),
        st.tuples(inner, inner).map(lambda t: f"[{t[0]}, {t[1]}]"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        st.tuples(inner, st.sampled_from(["1:", ":1", "::-1", "0", "'a'"])).map(lambda t: f"{t[0]}[{t[1]}]"),
    ),
    max_leaves=8,
)


@pytest.mark.filterwarnings("ignore::SyntaxWarning")  # Python's, of an index after a number
@given(expressions)
def test_any_expression_is_worth_what_it_is_in_jinja(expression: str) -> None:
    values = {"x": "abab", "y": 3, "l": ["a", 1], "d": {"a": "b"}}
    source = f"{{% set z = {expression} %}}{{{{ z }}}}"  # what is written at once, Jinja2 may work out while compiling
    try:
        expected = jinjas(source, values)
    except Exception:
        with pytest.raises(TemplateFault):
            ours(source, values)
    else:
        assert ours(source, values) == expected


# --- edges -----------------------------------------------------------------------------------------------------


def test_json_is_for_models_and_not_for_html() -> None:
    assert ours("{{ x | tojson }}", {"x": {"b": "<é>", "a": "'&"}}) == '{"b": "<é>", "a": "\'&"}'
    written = ours("{{ x | tojson(indent=2, sort_keys=true, separators=(',', ':')) }}", {"x": {"b": [1], "a": "é"}})
    assert written == json.dumps(
        {"b": [1], "a": "é"}, indent=2, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )


def test_the_limit_on_sizes_is_exact() -> None:
    assert len(ours("{{ 'a' * n }}", {"n": LARGEST})) == LARGEST
    assert len(ours("{{ x }}", {"x": "a" * LARGEST})) == LARGEST
    for source in ("{{ 'a' * (n + 1) }}", "{{ x }}a", "{{ x ~ 'a' }}", "{% set y %}{{ x }}a{% endset %}"):
        with pytest.raises(TemplateFault, match="4,000,000"):
            ours(source.replace("'a' * (n + 1)", "x + 'a'"), {"x": "a" * LARGEST, "n": LARGEST})


def test_the_budget_is_of_one_rendering() -> None:
    environment = BoundedEnvironment()
    template = compile_bounded(environment, "{% for i in range(100000) %}{% for j in 'abc' %}{% endfor %}{% endfor %}")
    for _ in range(4):  # together they would pass it
        assert render_bounded(template, environment, {}) == ""


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("a\n{% if %}", 2, "Expected an expression"),
        ("{{ 'a' | unknown }}", 1, "No filter named 'unknown'"),
        ("{% for a in b %}", 1, "Unexpected end of template"),
        ("a" * (LARGEST_TEMPLATE + 1), None, "more than 131,072 characters"),
    ],
)
def test_what_cannot_be_compiled_says_where(source: str, line: int | None, said: str) -> None:
    with pytest.raises(TemplateFault, match=said) as told:
        compile_bounded(BoundedEnvironment(), source)
    assert told.value.line == line


WORDS = (
    "{{ }} {% %} {# #} - for in if else endif endfor set endset macro endmacro call endcall filter endfilter block "
    "endblock raw endraw with endwith import from include extends autoescape recursive is not and or a b.c x[0] ( ) "
    "[1:2] [ ] { } , : | ~ = == < * ** // % 's' 1 2.5 none self loop caller upper join namespace(a=1) **b"
)


@given(st.lists(st.sampled_from(WORDS.split()), max_size=20).map(" ".join))
def test_any_text_is_a_template_or_a_fault(source: str) -> None:
    for tried in (source, f"{{% {source} %}}", f"{{{{ {source} }}}}"):
        with suppress(TemplateFault):  # and nothing else
            ours(tried, {"a": ["x"], "b": {"c": 1}})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
        ("{{ missing.name }}", "'missing' is undefined"),
        ("{{ '\\ud800' }}", "half a character"),
        ("{{ x.y() }}", "has no attribute"),
    ],
)
def test_whatever_goes_wrong_is_a_fault(source: str, said: str) -> None:
    with pytest.raises(TemplateFault, match=said):
        ours(source, {"x": {}})


def test_strict_templates_stay_strict() -> None:
    environment = BoundedEnvironment(undefined=jinja2.StrictUndefined)
    with pytest.raises(TemplateFault, match="'missing' is undefined"):
        render_bounded(compile_bounded(environment, "{{ missing }}"), environment, {})
