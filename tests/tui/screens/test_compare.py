"""The Compare screen: answers side by side, and a blind vote that tells nothing before it is over."""

from __future__ import annotations

from pathlib import Path

from runtime.run_folder import RunFolder
from tests.tui.playing import Play, Written, make_app, play, text_of, until
from tui.ballot import read_votes
from tui.screens.compare import CompareScreen


def run_with_answers(runs: Path, count: int = 3) -> RunFolder:
    written = Written(runs).say("start", steps=8, resume_from=None)
    for phase in ("base", "tuned"):
        for number in range(count):
            answer = f"{phase} says {number}"
            written.say("sample", phase=phase, number=number, question=f"Why {number}?", answer=answer, expected="So.")
    return written.say("end", status="finished").run


async def shown(pilot: Play, run: RunFolder) -> CompareScreen:
    pilot.app.compare(run)  # type: ignore[attr-defined]  # the app under test
    await until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen) and pilot.app.screen.loaded)
    screen = pilot.app.screen
    assert isinstance(screen, CompareScreen)
    return screen


def test_answers_side_by_side(runs: Path) -> None:
    run = run_with_answers(runs)

    async def script(pilot: Play) -> None:
        await shown(pilot, run)
        text = text_of(pilot.app)
        for words in ("1/3  Why 0?", " base ", " tuned ", "base says 0", "tuned says 0", "expected: So."):
            assert words in text
        await pilot.press("n", "n")
        assert "3/3  Why 2?" in text_of(pilot.app)
        await pilot.press("n", "b", "left")  # no vote outside of a blind one
        assert "3/3" in text_of(pilot.app)
        assert read_votes(run) == {}

    play(make_app(runs), script)


def test_a_blind_vote_tells_at_its_end(runs: Path) -> None:
    run = run_with_answers(runs)

    async def script(pilot: Play) -> None:
        screen = await shown(pilot, run)
        await pilot.press("v")
        for voted in range(3):
            text = text_of(pilot.app)
            assert " tuned " not in text.replace("tuned says", "")
            assert f"{voted} of 3 voted" in text
            left = screen.ballot.sides(screen.at)[0]
            await pilot.press("left" if left.startswith("tuned") else "right")
        assert not screen.blind
        assert "votes: tuned 3, base 0, no difference 0" in text_of(pilot.app)
        assert "44–100 % (95 %): undecided" in text_of(pilot.app)
        await until(pilot, lambda: len(read_votes(run)) == 3)
        await pilot.press("v", "equals_sign")
        assert screen.ballot.tally().ties == 1

    play(make_app(runs), script, (120, 40))


def test_a_run_without_two_answers_says_so(runs: Path) -> None:
    run = Written(runs).begin(8).run

    async def script(pilot: Play) -> None:
        await shown(pilot, run)
        assert "has no question that both models have answered" in text_of(pilot.app)
        await pilot.press("n", "v", "left")

    play(make_app(runs), script)
