// The unmodified @cosmjs/stargate against a running chain, by CometBFT's RPC alone.
// node checks.mjs '{"rpc": URL, "protoRoot": PATH, "keys": {NAME: HEX}}'
import assert from "node:assert/strict";

import { coin, DENOM, direct, fee, ledgerLike, ownTypes, registryOf, report, require, sleep, until } from "./lib.mjs";
import { allowance, converters, messages } from "./vectors.mjs";

const amino = require("@cosmjs/amino");
const stargate = require("@cosmjs/stargate");
const { connectComet, Comet38Client } = require("@cosmjs/tendermint-rpc");
const { TxRaw, TxBody, AuthInfo } = require("cosmjs-types/cosmos/tx/v1beta1/tx");
const { MsgSend } = require("cosmjs-types/cosmos/bank/v1beta1/tx");
const { MsgSubmitProposalResponse } = require("cosmjs-types/cosmos/gov/v1/tx");
const govV1 = require("cosmjs-types/cosmos/gov/v1/query");
const { VoteOption, ProposalStatus } = require("cosmjs-types/cosmos/gov/v1/gov");
const { MsgGrant, MsgExec } = require("cosmjs-types/cosmos/authz/v1beta1/tx");
const { GenericAuthorization } = require("cosmjs-types/cosmos/authz/v1beta1/authz");
const { createProtobufRpcClient, QueryClient, setupAuthzExtension } = stargate;

const config = JSON.parse(process.argv[2]);
const GAS_PRICE = stargate.GasPrice.fromString(`0.001${DENOM}`);
const type = ownTypes(config.protoRoot);

async function connect(name, options = {}) {
  const wallet = await (options.amino ? ledgerLike : direct)(config.keys[name]);
  const [{ address }] = await wallet.getAccounts();
  const client = await stargate.SigningStargateClient.connectWithSigner(config.rpc, wallet, {
    registry: registryOf(type),
    gasPrice: GAS_PRICE,
    broadcastPollIntervalMs: 200,
    broadcastTimeoutMs: 20_000,
    ...options,
  });
  return { client, address, wallet };
}

const sendMsg = (from, to, amount) => ({
  typeUrl: "/cosmos.bank.v1beta1.MsgSend",
  value: { fromAddress: from, toAddress: to, amount: [coin(amount)] },
});

/** The error that a promise ends in; it is one for the check that none comes. */
async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: "no error came" });
}

const balance = async (world, address) => BigInt((await world.alice.client.getBalance(address, DENOM)).amount);

async function gov(world) {
  const queries = QueryClient.withExtensions(world.comet);
  return new govV1.QueryClientImpl(createProtobufRpcClient(queries));
}

const checks = {
  async the_client_picks_the_dialect_of_cometbft_0_38(world) {
    assert.ok(world.comet instanceof Comet38Client);
    assert.equal(await world.alice.client.getChainId(), config.chainId);
    assert.ok((await world.alice.client.getHeight()) >= 1);
    assert.equal((await world.alice.client.getBlock(1)).header.chainId, config.chainId);
  },

  async an_account_shows_its_number_and_balances(world) {
    const account = await world.alice.client.getAccount(world.carol.address);
    assert.equal(account.address, world.carol.address);
    assert.equal(account.sequence, 0);
    assert.equal(account.pubkey, null);
    assert.deepEqual(await world.alice.client.getBalance(world.carol.address, DENOM), coin(config.funds));
    assert.deepEqual(await world.alice.client.getAllBalances(world.carol.address), [coin(config.funds)]);
    assert.deepEqual(await world.alice.client.getBalance(world.carol.address, "other"), coin(0, "other"));
  },

  async an_account_that_is_not_there_is_null(world) {
    assert.equal(await world.alice.client.getAccount(world.stranger.address), null);
    const error = await failure(world.alice.client.getSequence(world.stranger.address));
    assert.match(error.message, /does not exist on chain/);
  },

  async coins_sent_with_automatic_gas_arrive_and_the_transaction_says_so(world) {
    const before = await balance(world, world.bob.address);
    const sent = await world.alice.client.sendTokens(
      world.alice.address, world.bob.address, [coin(1234)], "auto", "hello",
    );
    stargate.assertIsDeliverTxSuccess(sent);
    assert.equal((await balance(world, world.bob.address)) - before, 1234n);
    assert.ok(0n < sent.gasUsed && sent.gasUsed <= sent.gasWanted);
    assert.deepEqual(sent.msgResponses.map((each) => each.typeUrl), ["/cosmos.bank.v1beta1.MsgSendResponse"]);
    const found = await world.alice.client.getTx(sent.transactionHash);
    assert.equal(found.height, sent.height);
    assert.equal(TxBody.decode(TxRaw.decode(found.tx).bodyBytes).memo, "hello");
    const transfers = found.events.filter((event) => event.type === "transfer").at(-1).attributes;
    const byKey = Object.fromEntries(transfers.map(({ key, value }) => [key, value]));
    assert.equal(byKey.recipient, world.bob.address);
    assert.equal(byKey.amount, `1234${DENOM}`);
    world.sentHash = sent.transactionHash;
  },

  async a_transaction_is_found_by_its_events(world) {
    // CometBFT finds transactions by conditions that one and the same event fulfils.
    const queries = [
      [{ key: "transfer.recipient", value: world.bob.address }, { key: "transfer.sender", value: world.alice.address }],
      [{ key: "message.action", value: "/cosmos.bank.v1beta1.MsgSend" }],
      [{ key: "tx.acc_seq", value: `${world.alice.address}/0` }],
    ];
    for (const query of queries) {
      const found = await world.alice.client.searchTx(query);
      assert.ok(found.some((each) => each.hash === world.sentHash), query[0].key);
    }
    assert.deepEqual(await world.alice.client.searchTx([{ key: "transfer.recipient", value: "nobody" }]), []);
    assert.equal(await world.alice.client.getTx("AB".repeat(32)), null);
  },

  async a_simulation_is_within_the_client_s_factor_of_what_is_used(world) {
    const message = sendMsg(world.alice.address, world.bob.address, 3);
    const estimated = await world.alice.client.simulate(world.alice.address, [message], "");
    const sent = await world.alice.client.signAndBroadcast(
      world.alice.address, [message], fee(Math.ceil(estimated * 1.4), 1000),
    );
    stargate.assertIsDeliverTxSuccess(sent);
    const error = await failure(
      world.alice.client.simulate(world.alice.address, [sendMsg(world.alice.address, world.bob.address, 2n ** 70n)], ""),
    );
    assert.match(error.message, /insufficient funds/);
    return { estimated, used: Number(sent.gasUsed) };
  },

  async messages_of_our_own_are_signed_and_run(world) {
    const joined = await world.bob.client.signAndBroadcast(
      world.bob.address,
      [{
        typeUrl: "/evergrid.hardware.v1.MsgSubmitNewParticipant",
        value: { creator: world.bob.address, url: "http://bob.example:9000" },
      }],
      "auto",
    );
    stargate.assertIsDeliverTxSuccess(joined);
    const node = { node_id: "b1", models: ["model/x"], hardware: [{ type: "GPU", count: 1 }], host: "10.0.0.9", port: 8080 };
    const added = await world.bob.client.signAndBroadcast(
      world.bob.address,
      [{
        typeUrl: "/evergrid.hardware.v1.MsgSubmitHardwareDiff",
        value: { creator: world.bob.address, new_or_modified: [node], removed: [] },
      }],
      "auto",
    );
    assert.equal(added.msgResponses[0]?.typeUrl ?? added.rawLog, "/evergrid.hardware.v1.MsgSubmitHardwareDiffResponse");
  },

  async a_proposal_is_submitted_voted_on_and_tallied(world) {
    const registerModel = type("evergrid.models.v1.MsgRegisterModel");
    const registered = registerModel.encode(registerModel.fromObject(config.registerModel)).finish();
    const submitted = await world.alice.client.signAndBroadcast(
      world.alice.address,
      [{
        typeUrl: "/cosmos.gov.v1.MsgSubmitProposal",
        value: {
          messages: [{ typeUrl: "/evergrid.models.v1.MsgRegisterModel", value: registered }],
          initialDeposit: [coin(config.deposit)],
          proposer: world.alice.address,
          metadata: "",
          title: "A model",
          summary: "More to serve",
          expedited: false,
        },
      }],
      "auto",
    );
    stargate.assertIsDeliverTxSuccess(submitted);
    const { proposalId } = MsgSubmitProposalResponse.decode(submitted.msgResponses[0].value);
    const queries = await gov(world);
    const { proposal } = await queries.Proposal({ proposalId });
    assert.equal(proposal.status, ProposalStatus.PROPOSAL_STATUS_VOTING_PERIOD);
    const vote = {
      typeUrl: "/cosmos.gov.v1.MsgVote",
      value: { proposalId, voter: world.alice.address, option: VoteOption.VOTE_OPTION_YES, metadata: "" },
    };
    const voted = await world.alice.client.signAndBroadcast(world.alice.address, [vote], "auto");
    stargate.assertIsDeliverTxSuccess(voted);
    const running = (await queries.TallyResult({ proposalId })).tally;
    assert.equal(running.yesCount, String(config.power));
    const { votes } = await queries.Votes({ proposalId });
    assert.deepEqual(votes.map((each) => each.voter), [world.alice.address]);
    const ended = await until("the end of the vote", async () => {
      const now = (await queries.Proposal({ proposalId })).proposal;
      return now.status === ProposalStatus.PROPOSAL_STATUS_VOTING_PERIOD ? null : now;
    });
    assert.equal(ended.status, ProposalStatus.PROPOSAL_STATUS_PASSED, ended.failedReason);
    assert.equal(ended.finalTallyResult.yesCount, String(config.power));
  },

  async a_fee_below_the_minimum_is_an_error_with_code_13(world) {
    const error = await failure(
      world.alice.client.sendTokens(world.alice.address, world.bob.address, [coin(1)], fee(200_000, 1)),
    );
    assert.equal(error.constructor.name, "BroadcastTxError");
    assert.deepEqual([error.code, error.codespace], [13, "sdk"]);
    assert.match(error.log, /insufficient fees; got: 1nevg required: 200nevg: insufficient fee/);
  },

  async a_wrong_sequence_or_chain_is_an_error_with_its_code(world) {
    const { accountNumber, sequence } = await world.alice.client.getSequence(world.alice.address);
    const message = sendMsg(world.alice.address, world.bob.address, 1);
    const signed = async (data) => {
      const raw = await world.alice.client.sign(world.alice.address, [message], fee(200_000, 1000), "", data);
      return failure(world.alice.client.broadcastTx(TxRaw.encode(raw).finish()));
    };
    const late = await signed({ accountNumber, sequence: sequence + 5, chainId: config.chainId });
    assert.equal(late.code, 32);
    assert.match(late.log, new RegExp(`account sequence mismatch, expected ${sequence}, got ${sequence + 5}: incorrect account sequence`));
    const elsewhere = await signed({ accountNumber, sequence, chainId: "other-1" });
    assert.equal(elsewhere.code, 4);
    assert.match(elsewhere.log, /signature verification failed; please verify account number \(\d+\) and chain-id/);
  },

  async too_little_gas_is_a_failure_in_the_block_or_an_error_before_it(world) {
    const error = await failure(
      world.alice.client.sendTokens(world.alice.address, world.bob.address, [coin(1)], fee(2_000, 1000)),
    );
    assert.equal(error.code, 11);
    assert.match(error.log, /out of gas in location: .*; gasWanted: 2000, gasUsed: \d+: out of gas/);
  },

  async a_transfer_of_more_than_there_is_fails_in_its_block_and_keeps_the_fee(world) {
    const before = await balance(world, world.alice.address);
    const sent = await world.alice.client.sendTokens(
      world.alice.address, world.bob.address, [coin(10n ** 20n)], fee(200_000, 777),
    );
    stargate.assertIsDeliverTxFailure(sent);
    assert.equal(sent.code, 5);
    assert.match(sent.rawLog, /^failed to execute message; message index: 0: .*: insufficient funds$/);
    assert.equal(before - (await balance(world, world.alice.address)), 777n);
  },

  async two_messages_happen_together_or_not_at_all(world) {
    const before = await balance(world, world.carol.address);
    const good = sendMsg(world.alice.address, world.carol.address, 10);
    const bad = sendMsg(world.alice.address, world.carol.address, 10n ** 20n);
    const failed = await world.alice.client.signAndBroadcast(world.alice.address, [good, bad], fee(300_000, 1000));
    assert.equal(failed.code, 5);
    assert.match(failed.rawLog, /message index: 1/);
    assert.equal(await balance(world, world.carol.address), before);
    const both = await world.alice.client.signAndBroadcast(world.alice.address, [good, good], "auto");
    stargate.assertIsDeliverTxSuccess(both);
    assert.equal((await balance(world, world.carol.address)) - before, 20n);
    assert.equal(both.msgResponses.length, 2);
  },

  async a_memo_of_more_than_256_characters_is_refused(world) {
    const message = sendMsg(world.alice.address, world.bob.address, 1);
    const error = await failure(
      world.alice.client.signAndBroadcast(world.alice.address, [message], fee(200_000, 1000), "m".repeat(257)),
    );
    assert.equal(error.code, 12);
    assert.match(error.log, /maximum number of characters is 256 but received 257 characters: memo too large/);
    const fits = await world.alice.client.signAndBroadcast(
      world.alice.address, [message], fee(200_000, 1000), "m".repeat(256),
    );
    stargate.assertIsDeliverTxSuccess(fits);
  },

  async a_transaction_past_its_timeout_height_is_refused(world) {
    const message = sendMsg(world.alice.address, world.bob.address, 1);
    const send = (height) =>
      world.alice.client.signAndBroadcast(world.alice.address, [message], fee(200_000, 1000), "", height);
    const error = await failure(send(1n));
    assert.equal(error.code, 30);
    assert.match(error.log, /block height: \d+, timeout height: 1: tx timeout height/);
    const height = await world.alice.client.getHeight();
    stargate.assertIsDeliverTxSuccess(await send(BigInt(height + 100)));
  },

  async coins_go_to_many_at_once(world) {
    const before = [await balance(world, world.bob.address), await balance(world, world.carol.address)];
    const message = {
      typeUrl: "/cosmos.bank.v1beta1.MsgMultiSend",
      value: {
        inputs: [{ address: world.alice.address, coins: [coin(30)] }],
        outputs: [
          { address: world.bob.address, coins: [coin(10)] },
          { address: world.carol.address, coins: [coin(20)] },
        ],
      },
    };
    const sent = await world.alice.client.signAndBroadcast(world.alice.address, [message], "auto");
    stargate.assertIsDeliverTxSuccess(sent);
    assert.equal((await balance(world, world.bob.address)) - before[0], 10n);
    assert.equal((await balance(world, world.carol.address)) - before[1], 20n);
  },

  async a_grant_is_given_found_and_used(world) {
    const authorization = {
      typeUrl: "/cosmos.authz.v1beta1.GenericAuthorization",
      value: GenericAuthorization.encode({ msg: "/cosmos.bank.v1beta1.MsgSend" }).finish(),
    };
    const grant = {
      typeUrl: "/cosmos.authz.v1beta1.MsgGrant",
      value: MsgGrant.fromPartial({
        granter: world.alice.address, grantee: world.carol.address, grant: { authorization },
      }),
    };
    stargate.assertIsDeliverTxSuccess(await world.alice.client.signAndBroadcast(world.alice.address, [grant], "auto"));
    const queries = QueryClient.withExtensions(world.comet, setupAuthzExtension).authz;
    const { grants } = await queries.grants(world.alice.address, world.carol.address, "");
    assert.deepEqual(grants.map((each) => each.authorization.typeUrl), [authorization.typeUrl]);
    assert.equal((await queries.granterGrants(world.alice.address)).grants[0].grantee, world.carol.address);
    assert.equal((await queries.granteeGrants(world.carol.address)).grants[0].granter, world.alice.address);
    const inner = MsgSend.encode(MsgSend.fromPartial(sendMsg(world.alice.address, world.bob.address, 4).value));
    const before = await balance(world, world.bob.address);
    const used = await world.carol.client.signAndBroadcast(
      world.carol.address,
      [{
        typeUrl: "/cosmos.authz.v1beta1.MsgExec",
        value: MsgExec.fromPartial({
          grantee: world.carol.address,
          msgs: [{ typeUrl: "/cosmos.bank.v1beta1.MsgSend", value: inner.finish() }],
        }),
      }],
      "auto",
    );
    stargate.assertIsDeliverTxSuccess(used);
    assert.equal((await balance(world, world.bob.address)) - before, 4n);
  },

  async a_fee_is_paid_by_the_account_that_grants_it(world) {
    const { alice, stranger, ledger } = world;
    const { feegrant } = QueryClient.withExtensions(world.comet, stargate.setupFeegrantExtension);
    const grantTo = (grantee, given) => ({
      typeUrl: "/cosmos.feegrant.v1beta1.MsgGrantAllowance", value: { granter: alice.address, grantee, allowance: given },
    });
    const byMinute = allowance("PeriodicAllowance", {
      basic: { spendLimit: [coin(5_000)] }, period: { seconds: 60n, nanos: 0 },
      periodSpendLimit: [coin(2_000)], periodCanSpend: [coin(2_000)], periodReset: { seconds: 0n, nanos: 0 },
    });
    const filtered = allowance("AllowedMsgAllowance", {
      allowance: byMinute, allowedMessages: ["/cosmos.authz.v1beta1.MsgGrant"],
    });
    const basic = allowance("BasicAllowance", { spendLimit: [coin(10_000)] });
    stargate.assertIsDeliverTxSuccess(await alice.client.signAndBroadcast(
      alice.address, [grantTo(stranger.address, filtered), grantTo(ledger.address, basic)], "auto",
    ));
    assert.equal((await feegrant.allowance(alice.address, stranger.address)).allowance.allowance.typeUrl, filtered.typeUrl);

    const paidByAlice = { ...fee(200_000, 1_500), granter: alice.address };
    const authorization = {
      typeUrl: "/cosmos.authz.v1beta1.GenericAuthorization",
      value: GenericAuthorization.encode({ msg: "/cosmos.bank.v1beta1.MsgSend" }).finish(),
    };
    const idle = {
      typeUrl: "/cosmos.authz.v1beta1.MsgGrant",
      value: MsgGrant.fromPartial({ granter: stranger.address, grantee: alice.address, grant: { authorization } }),
    };
    const before = await balance(world, alice.address);
    const sent = await stranger.client.signAndBroadcast(stranger.address, [idle], paidByAlice);
    stargate.assertIsDeliverTxSuccess(sent);
    assert.equal(before - (await balance(world, alice.address)), 1_500n);
    const used = sent.events.find((event) => event.type === "use_feegrant").attributes;
    assert.deepEqual(Object.fromEntries(used.map(({ key, value }) => [key, value])), {
      granter: alice.address, grantee: stranger.address,
    });
    const sign = async (message) => failure(stranger.client.signAndBroadcast(stranger.address, [message], paidByAlice));
    const beyond = await sign(idle);
    assert.deepEqual([beyond.codespace, beyond.code], ["feegrant", 2]);
    const other = await sign(sendMsg(stranger.address, world.bob.address, 1));
    assert.deepEqual([other.codespace, other.code], ["feegrant", 7]);

    const signedOnLedger = await ledger.client.signAndBroadcast(
      ledger.address, [sendMsg(ledger.address, world.bob.address, 1)], paidByAlice,
    );
    stargate.assertIsDeliverTxSuccess(signedOnLedger);
    assert.equal(before - (await balance(world, alice.address)), 3_000n);

    const revoke = { typeUrl: "/cosmos.feegrant.v1beta1.MsgRevokeAllowance", value: { granter: alice.address, grantee: stranger.address } };
    stargate.assertIsDeliverTxSuccess(await alice.client.signAndBroadcast(alice.address, [revoke], "auto"));
    assert.deepEqual((await feegrant.allowances(stranger.address)).allowances, []);
    const gone = await sign(idle);
    assert.deepEqual([gone.codespace, gone.code], ["sdk", 38]);
    assert.match((await failure(feegrant.allowance(alice.address, stranger.address))).message, /fee-grant not found/);
  },

  async a_signer_of_amino_json_sends_votes_and_grants(world) {
    const { client, address } = world.ledger;
    for (const [name, message] of Object.entries(messages(address, world.bob.address))) {
      if (name === "vote" || name === "deposit") continue;
      const sent = await client.signAndBroadcast(address, [message], fee(400_000, 1000), `amino ${name} <&>`);
      assert.equal(sent.code, 0, `${name}: ${sent.rawLog}`);
    }
    const { tx } = await client.getTx((await client.sendTokens(address, world.bob.address, [coin(1)], "auto")).transactionHash);
    const [signer] = AuthInfo.decode(TxRaw.decode(tx).authInfoBytes).signerInfos;
    assert.equal(signer.modeInfo.single.mode, 127);
  },

  async a_signer_of_amino_json_deposits_and_votes_on_a_proposal(world) {
    const { client, address } = world.ledger;
    const { vote, deposit } = messages(address, world.bob.address);
    const [found] = (await (await gov(world)).Proposals({ proposalStatus: 0, voter: "", depositor: address })).proposals.slice(-1);
    for (const message of [deposit, vote]) {
      message.value.proposalId = found.id;
      if (message === deposit) message.value.amount = [coin(config.deposit)];
      const sent = await client.signAndBroadcast(address, [message], fee(400_000, 1000));
      assert.equal(sent.code, 0, sent.rawLog);
    }
  },

  async an_account_of_several_owners_sends_once_enough_of_them_signed(world) {
    const names = ["alice", "bob", "dora"];
    const wallets = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await ledgerLike(config.keys[name])])));
    const owners = await Promise.all(names.map(async (name) => (await wallets[name].getAccounts())[0]));
    const key = amino.createMultisigThresholdPubkey(owners.map(({ pubkey }) => amino.encodeSecp256k1Pubkey(pubkey)), 2);
    const address = amino.pubkeyToAddress(key, "evergrid");
    stargate.assertIsDeliverTxSuccess(await world.alice.client.sendTokens(world.alice.address, address, [coin(100_000)], "auto"));
    const { accountNumber, sequence } = await world.alice.client.getSequence(address);
    const message = { typeUrl: "/cosmos.bank.v1beta1.MsgSend", value: { fromAddress: address, toAddress: world.bob.address, amount: [coin(9)] } };
    const paid = fee(200_000, 1000);
    const signatures = new Map();
    let bodyBytes;
    for (const name of ["dora", "alice"]) {
      const client = await stargate.SigningStargateClient.offline(wallets[name]);
      const [{ address: owner }] = await wallets[name].getAccounts();
      const signed = await client.sign(owner, [message], paid, "both", { accountNumber, sequence, chainId: config.chainId });
      signatures.set(owner, signed.signatures[0]);
      bodyBytes = signed.bodyBytes;
    }
    const [[one, alone]] = signatures;
    const tooFew = stargate.makeMultisignedTxBytes(key, sequence, paid, bodyBytes, new Map([[one, alone]]));
    await assert.rejects(world.alice.client.broadcastTx(tooFew), (error) => error.code === 4);
    const before = BigInt((await world.alice.client.getBalance(world.bob.address, DENOM)).amount);
    const sent = await world.alice.client.broadcastTx(stargate.makeMultisignedTxBytes(key, sequence, paid, bodyBytes, signatures));
    stargate.assertIsDeliverTxSuccess(sent);
    assert.equal(BigInt((await world.alice.client.getBalance(world.bob.address, DENOM)).amount), before + 9n);
    assert.deepEqual((await world.alice.client.getAccount(address)).pubkey, key);
  },

  async events_arrive_over_the_websocket(world) {
    const comet = await connectComet(config.rpc.replace("http://", "ws://"));
    const blocks = [];
    const txs = [];
    const query = `tm.event='Tx' AND message.action='/cosmos.bank.v1beta1.MsgSend' AND transfer.recipient='${world.bob.address}'`;
    const ends = [
      comet.subscribeNewBlock().subscribe({ next: (block) => blocks.push(block.header.height), error: () => {} }),
      comet.subscribeTx(query).subscribe({ next: (tx) => txs.push(tx), error: () => {} }),
    ];
    try {
      await sleep(300);
      const sent = await world.alice.client.sendTokens(world.alice.address, world.bob.address, [coin(2)], "auto");
      await until("the transaction's event", () => txs.length && blocks.length > 1);
      assert.equal(Buffer.from(txs[0].hash).toString("hex").toUpperCase(), sent.transactionHash);
      assert.equal(txs[0].height, sent.height);
      assert.deepEqual(blocks, [...blocks].sort((a, b) => a - b));
    } finally {
      for (const end of ends) end.unsubscribe();
      comet.disconnect();
    }
  },

  async validators_show_their_power_and_nobody_has_bonded_coins(world) {
    assert.equal(await world.alice.client.getBalanceStaked(world.alice.address), null);
    assert.equal(await world.alice.client.getDelegation(world.alice.address, config.operator), null);
    const { validators } = await world.staking.staking.validators("BOND_STATUS_BONDED");
    assert.deepEqual(validators.map((each) => [each.operatorAddress, each.tokens]), [[config.operator, String(config.power)]]);
    assert.equal((await world.staking.staking.params()).params.bondDenom, DENOM);
    assert.equal((await world.staking.staking.pool()).pool.bondedTokens, String(config.power));
  },
};

const alice = await connect("alice");
const comet = await connectComet(config.rpc);
const world = {
  alice,
  comet,
  bob: await connect("bob"),
  carol: await connect("carol"),
  ledger: await connect("dora", { amino: true, aminoTypes: new stargate.AminoTypes(converters()) }),
  stranger: await connect("stranger"),
  staking: QueryClient.withExtensions(comet, stargate.setupStakingExtension),
};
await report(checks, world);
process.exit(0);
