"""The demo's view shows what a person wants to see, from plain facts."""

from __future__ import annotations

from io import StringIO

from rich.console import Console, RenderableType

from cli.demo_checks import check
from cli.demo_facts import Story
from cli.demo_view import evg, frame, headline, request_line, summary
from tests.localnet.stories import CAST, EXPECTED, good_story, snapshot


def text_of(renderable: RenderableType, width: int = 150) -> str:
    console = Console(file=StringIO(), width=width, color_system=None)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_a_frame_shows_stage_countdown_heights_nodes_votes_and_rewards() -> None:
    shown = text_of(frame(snapshot(72), good_story(), CAST))

    for words in (
        "start_of_poc",
        "end_of_poc in 3 blocks",
        "validator 2 at 72",
        "participant-2",
        "generating",
        "serving",
        "mined",
        "participant-2 says honest (0 of 200 samples differ)",
        "rewards",
    ):
        assert words in shown, words


def test_a_frame_before_the_first_group_says_which_nodes_are_declared() -> None:
    before = snapshot(30, epoch=0, nodes=(), registered=CAST.nodes[:1])

    shown = text_of(frame(before, Story(), CAST))

    assert shown.count("not declared") == 2


def test_the_headline_counts_down_to_the_next_stage() -> None:
    assert headline(snapshot(69)).endswith("(start_of_poc in 1 block)")


def test_the_summary_names_each_promise_and_the_problem_of_a_broken_one() -> None:
    story = good_story()
    story.app_hashes = {"validator 1": "AB", "validator 2": "CD"}
    checks = check(story, EXPECTED)

    shown = text_of(summary(story, CAST, checks))

    assert shown.count("kept") == len(checks) - 1
    assert shown.count("BROKEN") == 1
    assert "different app hashes" in shown
    assert "extended: empty_group" in shown


def test_a_failed_request_says_why() -> None:
    request = good_story().requests[0]
    request.error = "HTTP 503: busy"

    assert request_line(request, CAST) == "chat 1 between PoCs to participant-1, a: failed, HTTP 503: busy"


def test_amounts_are_shown_in_evg() -> None:
    assert evg(323_000 * 10**9) == "323,000.000 EVG"
