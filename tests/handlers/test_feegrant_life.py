"""A life of grants, fees and time, by any order: who pays is who lets it, and no coin is made or lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abci_app.genesis import export_genesis
from abci_app.invariants import broken
from abci_app.modules import bank
from abci_app.modules.feegrant import rules, state
from tests.allowances import SEND, basic, grant, idle, idle_type, indexes, only_for, periodic, revoke
from tests.chain import DENOM, FUNDS, Chain, app_state, key_of

if TYPE_CHECKING:
    from google.protobuf.message import Message

NAMES = ("ann", "ben", "cid")
PAIRS = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES))
ALLOWANCES: st.SearchStrategy[Message] = st.one_of(
    st.builds(basic, st.integers(0, 300), st.integers(0, 40)),
    st.builds(periodic, st.integers(1, 100), st.integers(1, 15), st.integers(0, 300)),
    st.builds(
        only_for,
        st.builds(basic, st.integers(0, 300), st.integers(0, 40)),
        st.sampled_from((SEND, idle_type())),
    ),
)
STEPS = st.one_of(
    st.tuples(st.just("grant"), PAIRS, ALLOWANCES),
    st.tuples(st.just("revoke"), PAIRS, st.none()),
    st.tuples(st.just("fee"), PAIRS, st.integers(0, 150)),
    st.tuples(st.just("wait"), PAIRS, st.integers(1, 12)),
)


def balances(chain: Chain) -> dict[str, int]:
    return {name: chain.balance(name) for name in NAMES}


def fee_of(chain: Chain, granter: str, grantee: str, fee: int) -> None:
    """A transaction whose message does nothing to balances: they tell who paid."""
    before, supply = balances(chain), bank.supply(chain.context(), DENOM)
    message = idle()
    message.granter = key_of(grantee).address  # type: ignore[attr-defined]

    result = chain.deliver(grantee, message, fee=fee, granter=key_of(granter).address)

    paid = {name: before[name] - now for name, now in balances(chain).items()}
    assert result.codespace in {"", "sdk", "feegrant"}
    if result.code:
        assert not any(paid.values())
        assert result.codespace == "feegrant" or result.code == 38, result.log
    else:
        assert paid == {name: fee if name == granter else 0 for name in NAMES}
    assert bank.supply(chain.context(), DENOM) == supply


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, min_size=5, max_size=30))
def test_fees_come_from_who_lets_it_and_indexes_agree(
    steps: list[tuple[str, tuple[str, str], object]],
) -> None:
    chain = Chain(app_state(funded=NAMES))
    for kind, (granter, grantee), what in steps:
        one, other = key_of(granter).address, key_of(grantee).address
        if kind == "grant":
            chain.deliver(granter, grant(what, one, other))  # type: ignore[arg-type]
        elif kind == "revoke":
            chain.deliver(granter, revoke(one, other))
        elif kind == "fee":
            assert isinstance(what, int)
            fee_of(chain, granter, grantee, what)
        else:
            assert isinstance(what, int)
            chain.run_to(chain.height + what)

        ctx = chain.context()
        keys, by_granter, ends = indexes(ctx)
        opened = [rules.opened(each.allowance) for each in state.ALLOWANCES.values(ctx)]
        assert sorted(by_granter) == keys
        live = zip(keys, opened, strict=True)
        assert sorted(key[1:] for key in ends) == [
            key for key, each in live if each is not None and each.basic.HasField("expiration")
        ]
        # What has ended leaves with its block.
        assert all(end > ctx.block.time_ns for end, _, _ in ends)
    exported = export_genesis(chain.context())
    assert broken(chain.context()) == []
    assert sum(balances(chain).values()) <= FUNDS * len(NAMES)
    again = Chain(exported, initial_height=chain.height + 1)
    assert export_genesis(again.context())["feegrant"] == exported["feegrant"]
