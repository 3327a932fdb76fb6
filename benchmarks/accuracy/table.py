"""The scores as Markdown: by source, trust and metric, then what is not scored, then every row."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from benchmarks.accuracy.rows import GIB
from benchmarks.accuracy.score import Left, Scored


def table(scored: Sequence[Scored], left: Sequence[Left]) -> list[str]:
    """All of it. Errors are predicted over measured, less one."""
    lines = [
        "# Memory: predicted against measured",
        "",
        "Made by `python -m benchmarks accuracy`. Measurements by others; nothing is fitted to them. Each framework's",
        "stack is declared from its code in `benchmarks/accuracy/stacks.py`. A row is *soft* when its length is only",
        "bounded, so that its batches may have been shorter. *Unsafe*: measured above the prediction's whole band.",
        "Where a stack is known in part, its band covers each way in which the run may have gone; what is not known",
        "stands below. The stacks that recipes run on have no such ways.",
        "",
        "| source | trust | metric | rows | median error | mean error | worst | in band | unsafe |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    groups: dict[tuple[str, str, str], list[Scored]] = defaultdict(list)
    for each in scored:
        kind = f"{each.metric}{' (soft)' if each.row.soft else ''}"
        groups[each.row.source, each.row.trust, kind].append(each)
    for (source, trust, kind), members in sorted(groups.items(), key=lambda item: (item[0][1], item[0])):
        lines.append(_group(f"{source} | {trust} | {kind}", members))
    for name, members in _sums(scored).items():
        if members:
            lines.append(_group(f"**{name}** | |", members))
    lines += ["", "## Not scored", "", "| rows | source | why |", "| --- | --- | --- |"]
    reasons = Counter((each.row.source, each.why) for each in left)
    lines += [f"| {count} | {source} | {why} |" for (source, why), count in sorted(reasons.items())]
    lines += ["", "## What widens bands", "", "| rows | source | not known |", "| --- | --- | --- |"]
    doubts = Counter((each.row.source, each.said.doubts) for each in scored if each.said.doubts)
    lines += [f"| {count} | {source} | {words} |" for (source, words), count in sorted(doubts.items())]
    lines += ["", "## Every row", "", "| row | metric | measured GiB | predicted GiB | error | band GiB |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    lines += [_row(each) for each in scored]
    return lines


def _sums(scored: Sequence[Scored]) -> dict[str, list[Scored]]:
    good = [each for each in scored if each.row.trust in {"A", "B"}]
    own = [each for each in good if "own loop" in str(each.row.values.get("framework"))]
    whole = [each for each in good if not each.said.others and each.said.lengths is None]
    return {
        "PEFT with Transformers, in loops of their own: allocated": [e for e in own if e.metric == "allocated"],
        "PEFT with Transformers, in loops of their own: all metrics": own,
        "A and B, stacks known whole": whole,
        "A and B, allocated": [each for each in good if each.metric == "allocated"],
        "A and B, reserved, fixed lengths": [each for each in good if each.metric == "reserved" and not each.row.soft],
        "A and B, fixed lengths": [each for each in good if not each.row.soft],
        "A and B": good,
        "all trusts": list(scored),
    }


def _group(name: str, members: Iterable[Scored]) -> str:
    group = list(members)
    errors = [each.error for each in group]
    inside, unsafe = sum(each.inside for each in group), sum(each.unsafe for each in group)
    return (
        f"| {name} | {len(group)} | {statistics.median(map(abs, errors)):.2%} | {statistics.fmean(errors):+.2%}"
        f" | {max(errors, key=abs):+.1%} | {inside} | {unsafe} |"
    )


def _row(each: Scored) -> str:
    band = f"{each.predicted.low / GIB:.2f}-{each.predicted.high / GIB:.2f}"
    soft = " (soft)" if each.row.soft else ""
    return (
        f"| {each.row.id}{soft} | {each.metric} | {each.measured / GIB:.3f} | {each.predicted.bytes / GIB:.3f}"
        f" | {each.error:+.2%} | {band} |"
    )
