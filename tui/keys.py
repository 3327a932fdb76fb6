"""Every key of the UI in one table: what dispatches it, what the footer and the help show, and what can be remapped.

Keys that terminals and multiplexers keep for themselves (C-a, C-b, C-j, C-o, C-s) are never the only way.
"""

from __future__ import annotations

from dataclasses import dataclass

from tui.text import N_


@dataclass(frozen=True, slots=True)
class Key:
    """A binding: its id (for remapping), keys, the action, what it does in a few words, whether the footer has it."""

    id: str
    keys: str
    action: str
    words: str
    footer: bool = False


EVERYWHERE = (
    Key("app.help", "question_mark,f1", "app.help", N_("help"), footer=True),
    Key("app.quit", "q,ctrl+c", "app.leave", N_("quit"), footer=True),
    Key("app.palette", "ctrl+p", "app.command_palette", N_("every command")),
    Key("app.back", "escape", "app.place_before", N_("back")),
    Key("app.recipes", "1", "app.go('recipes')", N_("the recipes")),
    Key("app.recipe", "2", "app.go('recipe')", N_("the recipe")),
    Key("app.plan", "3", "app.go('plan')", N_("the plan")),
    Key("app.run", "4", "app.go('run')", N_("the run")),
    Key("app.runs", "5", "app.go('runs')", N_("all runs")),
    Key("app.compare", "6", "app.go('compare')", N_("compare answers")),
    Key("app.theme", "ctrl+t", "app.next_theme", N_("next colours")),
    Key("app.picture", "ctrl+e", "app.picture", N_("picture of the screen as SVG")),
)

CHART = (
    Key("chart.closer", "plus,equals_sign", "zoom(0.5)", N_("closer")),
    Key("chart.wider", "minus", "zoom(2.0)", N_("wider")),
    Key("chart.fit", "0", "fit", N_("everything")),
    Key("chart.left", "left,h", "pan(-0.25)", N_("earlier")),
    Key("chart.right", "right,l", "pan(0.25)", N_("later")),
    Key("chart.log", "y", "log", N_("logarithmic values")),
    Key("chart.smooth", "s", "smooth", N_("smoothing: off, 0.6, 0.9, 0.99")),
    Key("chart.cross", "i", "cross", N_("crosshair; the arrows then move it")),
    Key("chart.export", "e", "export", N_("write the chart as SVG and CSV")),
)

RUN = (
    Key("run.checkpoint", "c", "ask('checkpoint')", N_("checkpoint"), footer=True),
    Key("run.pause", "P", "ask('pause')", N_("pause, go on")),
    Key("run.stop", "S", "ask('stop')", N_("stop"), footer=True),
    Key("run.resume", "R", "resume", N_("resume"), footer=True),
    Key("run.detach", "d", "app.detach", N_("detach"), footer=True),
    Key("run.filter", "slash", "filter", N_("filter the log"), footer=True),
    Key("run.unfilter", "escape", "unfilter", N_("the whole log again")),
    Key("run.follow", "f", "follow", N_("follow the log")),
    Key("run.output", "o", "output", N_("the log: events, or all output")),
    Key("run.metric", "m", "next_metric", N_("next curve"), footer=True),
    Key("run.metric_back", "M", "next_metric(-1)", N_("curve before")),
    Key("run.zoom", "enter", "zoom_chart", N_("one chart, all charts")),
)

RUNS = (
    Key("runs.open", "enter", "open", N_("open the run")),
    Key("runs.select", "space", "select", N_("select"), footer=True),
    Key("runs.pin", "p", "pin", N_("baseline"), footer=True),
    Key("runs.difference", "D", "difference", N_("plans differ in"), footer=True),
    Key("runs.compare", "a", "compare_answers", N_("compare answers"), footer=True),
    Key("runs.metric", "m", "next_metric", N_("next curve"), footer=True),
    Key("runs.filter", "slash", "filter", N_("search")),
)

RECIPES = (
    Key("recipes.open", "enter", "open", N_("open")),
    Key("recipes.new", "n", "new", N_("new from a domain"), footer=True),
    Key("recipes.filter", "slash", "filter", N_("search"), footer=True),
    Key("recipes.reload", "r", "reload", N_("look again"), footer=True),
)

RECIPE = (
    Key("recipe.save", "ctrl+s,f9", "save", N_("save"), footer=True),
    Key("recipe.plan", "f5", "plan", N_("plan"), footer=True),
    Key("recipe.offer", "f2,ctrl+n", "offer", N_("complete"), footer=True),
    Key("recipe.problem", "f3", "problem", N_("next problem"), footer=True),
    Key("recipe.fix", "f4", "fix", N_("mend"), footer=True),
    Key("recipe.panel", "f8,escape", "panel", N_("what if, or the text")),
)

WHATIF = (
    Key("whatif.r", "r", "screen.try('r', 1)", N_("rank r up"), footer=True),
    Key("whatif.r_down", "R", "screen.try('r', -1)", N_("rank r down")),
    Key("whatif.length", "l", "screen.try('length', 1)", N_("max_length up"), footer=True),
    Key("whatif.length_down", "L", "screen.try('length', -1)", N_("max_length down")),
    Key("whatif.batch", "b", "screen.try('batch', 1)", N_("batch_size up")),
    Key("whatif.batch_down", "B", "screen.try('batch', -1)", N_("batch_size down")),
    Key("whatif.gpu", "g", "screen.try('gpu', 1)", N_("next larger GPU"), footer=True),
    Key("whatif.gpu_down", "G", "screen.try('gpu', -1)", N_("next smaller GPU")),
    Key("whatif.write", "w", "screen.write_tried", N_("write it"), footer=True),
    Key("whatif.nothing", "0", "screen.try_nothing", N_("try nothing")),
)

PLAN = (
    Key("plan.start", "R", "start", N_("start"), footer=True),
    Key("plan.difference", "D", "difference", N_("since last run"), footer=True),
    Key("plan.again", "r", "again", N_("compile again"), footer=True),
    Key("plan.next_rows", "n", "rows(1)", N_("next rows"), footer=True),
    Key("plan.rows_before", "b", "rows(-1)", N_("rows before")),
)

COMPARE = (
    Key("compare.next", "n,down", "turn(1)", N_("next question"), footer=True),
    Key("compare.before", "b,up", "turn(-1)", N_("question before"), footer=True),
    Key("compare.blind", "v", "blind", N_("vote blind, or see"), footer=True),
    Key("compare.left", "left", "vote('left')", N_("left is better"), footer=True),
    Key("compare.right", "right", "vote('right')", N_("right is better"), footer=True),
    Key("compare.tie", "equals_sign", "vote('tie')", N_("no difference")),
)

TABLES: dict[str, tuple[Key, ...]] = {
    "app": EVERYWHERE,
    "chart": CHART,
    "run": RUN,
    "runs": RUNS,
    "recipes": RECIPES,
    "recipe": RECIPE,
    "whatif": WHATIF,
    "plan": PLAN,
    "compare": COMPARE,
}
"""Keys by where they work."""

MOST_IN_FOOTER = 7


def key_ids() -> set[str]:
    """Every id that a key map can name."""
    return {key.id for table in TABLES.values() for key in table}
