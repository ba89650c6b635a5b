"""Which transaction used up a sequence: read from the blocks, for an index may be behind or off."""

from __future__ import annotations

import base64

from client.chain import AsyncChainClient, Rpc, TxReply, read_account
from client.tx import tx_hash
from protocol.gen.cosmos.auth.v1beta1 import query_pb2

# So far back states are looked at, one after the other; who was away for longer knows by the index.
BLOCKS_BACK = (8, 64, 512)


async def sequence_at(chain: AsyncChainClient, address: str, height: int) -> int:
    """An account's sequence behind a block; raises ChainError where the state is not kept."""
    request = query_pb2.QueryAccountRequest(address=address)
    return read_account(await chain.query(request, query_pb2.QueryAccountResponse, height)).sequence


async def block_of_sequence(chain: AsyncChainClient, address: str, sequence: int, height: int) -> int | None:
    """The block in which a sequence was used, at most as high as `height`; None where it is further back.

    Raises ChainError where states are not kept. Bisection, since sequences never fall.
    """
    high = height
    if await sequence_at(chain, address, high) <= sequence:
        return None
    for back in BLOCKS_BACK:
        low = max(1, height - back)
        if await sequence_at(chain, address, low) <= sequence:
            break
        high = low
    else:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if await sequence_at(chain, address, middle) > sequence:
            high = middle
        else:
            low = middle
    return high


async def in_block(chain: AsyncChainClient, height: int, name: str) -> TxReply | None:
    """What became of a transaction in a block; None where the block does not hold it. Raises ChainError."""
    block = await chain.call(Rpc.call("block", height=str(height)))
    names = [tx_hash(base64.b64decode(raw)) for raw in block["block"]["data"]["txs"] or ()]
    if name not in names:
        return None
    results = await chain.call(Rpc.call("block_results", height=str(height)))
    found = results["txs_results"][names.index(name)]
    return TxReply(
        name, int(found.get("code") or 0), found.get("codespace") or "", found.get("log") or "", height
    )
