"""Every check of `evergrid doctor` can fail, says what is wrong, and how to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cli.doctor_checks import (
    Comet,
    Finding,
    Identity,
    Level,
    MLNode,
    Owner,
    Registration,
    SecretFile,
    check_account,
    check_api,
    check_block_time,
    check_clock,
    check_comet,
    check_config,
    check_disk,
    check_grants,
    check_mlnode,
    check_port,
    check_ports_differ,
    check_registration,
    check_secret,
    error,
    exit_code,
    ok,
    warning,
)

GIB = 2**30
ALICE = Identity("evergrid1alice", b"k" * 33, "", b"v" * 32)
REGISTERED = Registration(b"k" * 33, "", b"v" * 32)
COMET = Comet(
    "tcp://x", "/bin/cometbft", version="0.38.26", version_expected="0.38.26", peers=3, validators=4
)
NODE = MLNode("n1", "http://x", state="INFERENCE", version="1", version_expected="1")
CARDS = replace(NODE, gpus=2, gpu_memory_mib=160_000, gpus_declared=2, memory_declared_mib=160_000)


def told(found: Finding | Sequence[Finding]) -> list[tuple[str, str]]:
    """Level and text; whatever is not well has a fix."""
    each = [found] if isinstance(found, Finding) else list(found)
    assert all(bool(one.fix) == (one.level != Level.OK) for one in each)
    return [(str(one.level), one.text) for one in each]


def only(found: Finding | Sequence[Finding], level: str, part: str) -> None:
    """There is one finding, of this level, that speaks of this."""
    ((shown, text),) = told(found)
    assert (shown, part in text) == (level, True), text


def test_the_exit_code_is_that_of_the_worst_finding() -> None:
    well, bad, worse = ok("a", ""), warning("b", "", "fix"), error("c", "", "fix")

    assert [exit_code(each) for each in ([], [well], [bad, well], [well, worse, bad])] == [0, 0, 1, 2]


def test_a_secret_that_is_missing_or_readable_by_others_is_an_error() -> None:
    only(check_secret(SecretFile("key", "/k", 0o100600)), "ok", "/k")
    only(check_secret(SecretFile("key", "/k", 0o100640)), "error", "may be read by others (0640)")
    only(check_secret(SecretFile("key", "/k", None, "make it")), "error", "is missing: /k")


@pytest.mark.parametrize(
    ("found", "level", "part"),
    [
        (REGISTERED, "ok", "registered with these keys"),
        (None, "warning", "no participant"),
        (replace(REGISTERED, validator_key=b"o" * 32), "error", "another consensus key"),
        (replace(REGISTERED, public_key=b"o" * 33), "error", "another public key"),
        (replace(REGISTERED, is_valid=False), "error", "INVALID"),
    ],
)
def test_keys_that_the_chain_does_not_know_are_found(
    found: Registration | None, level: str, part: str
) -> None:
    only(check_registration(ALICE, found), level, part)


def test_a_missing_validator_key_and_another_worker_key_are_both_named() -> None:
    warm = replace(ALICE, worker_key="02aa", validator_key=None)

    shown = told(check_registration(warm, REGISTERED))

    assert [level for level, _ in shown] == ["warning", "error"]
    assert "another worker key" in shown[1][1]


def test_a_port_that_another_program_has_is_an_error() -> None:
    only(check_port("admin", "127.0.0.1", 9200, Owner.NOBODY), "ok", "free")
    only(check_port("admin", "127.0.0.1", 9200, Owner.OURS), "ok", "ours")
    only(check_port("admin", "127.0.0.1", 9200, Owner.OTHER), "error", "another program listens")


def test_one_port_for_two_servers_is_an_error_and_any_free_port_is_none() -> None:
    assert check_ports_differ([("public", 9000), ("callback", 0), ("admin", 0), ("metrics", 9001)]) == []
    (found,) = check_ports_differ([("public", 9000), ("callback", 9001), ("admin", 9000)])
    only(found, "error", "public and admin are both to listen on port 9000")


@pytest.mark.parametrize(
    ("offset_s", "level"),
    [(0.5, "ok"), (-2.5, "warning"), (2.5, "warning"), (11.0, "error"), (-11.0, "error")],
)
def test_a_clock_that_is_off_is_found(offset_s: float, level: str) -> None:
    finding = check_clock("n1", offset_s)

    assert finding.level == level
    if level != "ok":
        assert ("ahead of" if offset_s > 0 else "behind") in finding.text


def test_a_block_of_the_future_or_long_past_is_an_error_unless_the_node_catches_up() -> None:
    only(check_block_time(3.0, catching_up=False), "ok", "3 s old")
    only(check_block_time(-5.0, catching_up=False), "error", "in the future")
    only(check_block_time(600.0, catching_up=False), "error", "600 s old")
    only(check_block_time(600.0, catching_up=True), "ok", "600 s old")


def test_little_room_on_the_disk_is_found() -> None:
    only(check_disk("/h", 200 * GIB, 1000 * GIB), "ok", "20 %")
    only(check_disk("/h", 100 * GIB, 1000 * GIB), "warning", "10 %")
    only(check_disk("/h", 4 * GIB, 10 * GIB), "error", "4.0 GiB")
    only(check_disk("/h", 40 * GIB, 1000 * GIB), "error", "4 %")


@pytest.mark.parametrize(
    ("comet", "level", "part"),
    [
        (COMET, "ok", "3 peers"),
        (replace(COMET, validators=1, peers=0), "ok", "0 peers"),
        (replace(COMET, peers=0), "error", "no peers"),
        (replace(COMET, catching_up=True), "warning", "catching up"),
        (replace(COMET, version="0.37.0"), "warning", "version 0.37.0"),
        (replace(COMET, problem="refused"), "error", "does not answer: refused"),
        (replace(COMET, binary=""), "warning", "binary"),
    ],
)
def test_a_cometbft_that_is_not_as_it_should_be_is_found(comet: Comet, level: str, part: str) -> None:
    only(check_comet(comet), level, part)


def test_everything_that_is_wrong_with_cometbft_is_told_at_once() -> None:
    shown = told(check_comet(replace(COMET, binary="", version="1", catching_up=True, peers=0)))

    assert len(shown) == 4


def test_an_api_node_that_is_silent_waits_or_lags_is_found() -> None:
    only(check_api(0, (), ""), "ok", "it runs")
    only(check_api(None, (), "refused"), "warning", "does not answer: refused")
    only(check_api(0, ["the chain"], ""), "warning", "it waits: the chain")
    only(check_api(5, (), ""), "warning", "5 blocks behind")
    only(check_api(50, (), ""), "error", "50 blocks behind")


def test_an_account_that_is_not_there_or_empty_where_fees_are_due_is_found() -> None:
    only(check_account("a", 5, pays_fees=True), "ok", "5 nevg")
    only(check_account("a", 0, pays_fees=False), "ok", "0 nevg")
    only(check_account("a", 0, pays_fees=True), "warning", "no coins")
    only(check_account("a", None, pays_fees=False), "error", "no account a")


def test_grants_that_are_missing_or_end_soon_are_found() -> None:
    only(check_grants("p", "w", (), None), "ok", "w may send for p")
    only(check_grants("p", "w", (), 30 * 86400.0), "ok", "w may send for p")
    only(check_grants("p", "w", (), 7200.0), "warning", "ends in 2 hours")
    only(check_grants("p", "w", ["MsgA", "MsgB"], None), "error", "MsgA, MsgB")


@pytest.mark.parametrize(
    ("node", "level", "part"),
    [
        (NODE, "ok", "INFERENCE"),
        (CARDS, "ok", "INFERENCE"),
        (replace(NODE, problem="refused"), "error", "does not answer: refused"),
        (replace(NODE, status=401), "error", "refuses our token"),
        (replace(NODE, status=404), "error", "gives no state (status 404)"),
        (replace(NODE, state=""), "error", "gives no state"),
        (replace(NODE, inference_problem="refused"), "error", "does not answer for prompts"),
        (
            replace(NODE, inference_problem="refused", state="STOPPED"),
            "warning",
            "does not answer for prompts",
        ),
        (replace(NODE, version="2"), "warning", "is version 2, this is 1"),
        (replace(NODE, gpus_declared=4), "warning", "declares 4 GPUs, and its metrics tell of none"),
        (replace(CARDS, gpus=1), "error", "declares 2 GPUs and has 1"),
        (replace(CARDS, gpus=3), "warning", "has 3 GPUs and declares 2"),
        (replace(CARDS, gpu_memory_mib=80_000), "error", "160000 MiB of memory and has 80000"),
    ],
)
def test_an_mlnode_that_is_not_as_it_is_declared_is_found(node: MLNode, level: str, part: str) -> None:
    only(check_mlnode(node), level, part)


def test_a_file_of_nodes_that_cannot_be_used_or_is_empty_is_found() -> None:
    only(check_config("/n", "", 2), "ok", "2 MLNodes")
    only(check_config("/n", "/n: host: Field required", 0), "error", "host: Field required")
    only(check_config("/n", "", 0), "warning", "names no MLNode")
