"""Two plans compared by meaning."""

from __future__ import annotations

from compiler.difference import Difference, differences
from compiler.plan import Origin, Setting
from tests.runtime.plans import make_plan, recipe_input


def test_a_plan_does_not_differ_from_itself_in_another_order() -> None:
    plan = make_plan()
    assert differences(plan, make_plan(settings=list(reversed(plan.settings)))) == []


def test_values_inputs_and_what_came_of_them() -> None:
    plan = make_plan()
    settings = [s if s.path != "adapter.r" else s.model_copy(update={"value": 64}) for s in plan.settings]
    settings.append(Setting(path="training.seed", value=7, origin=Origin(kind="recipe"), reason="set"))
    data = plan.data.model_copy(update={"train_rows": 7})
    changed = make_plan(settings=settings, inputs=[recipe_input(b"other\n")], data=data, peft=None)
    found = differences(plan, changed)
    assert found[0] == Difference("adapter.r", 16, 64, "why adapter.r")
    assert found[1] == Difference("training.seed", None, 7, "set")
    assert found[2].path == "inputs.recipe.recipe.toml"
    assert found[3:] == [Difference("data.train_rows", 6, 7)]
    back = differences(changed, plan)
    assert [(d.before, d.after) for d in back] == [(d.after, d.before) for d in found]
