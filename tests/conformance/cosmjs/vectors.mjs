// Writes what CosmJS makes of fixed inputs: addresses, sign bytes, transactions. No chain is needed.
// node vectors.mjs > data/cosmjs_vectors.json (from the folder that holds node_modules)
import { coin, direct, fee, ledgerLike, ownTypes, registryOf, require } from "./lib.mjs";

const stargate = require("@cosmjs/stargate");
const amino = require("@cosmjs/amino");
const { stringToPath } = require("@cosmjs/crypto");
const { DirectSecp256k1HdWallet, makeSignBytes, makeSignDoc } = require("@cosmjs/proto-signing");
const { toHex } = require("@cosmjs/encoding");
const { GenericAuthorization } = require("cosmjs-types/cosmos/authz/v1beta1/authz");
const { MsgGrant, MsgExec } = require("cosmjs-types/cosmos/authz/v1beta1/tx");
const { MsgSend } = require("cosmjs-types/cosmos/bank/v1beta1/tx");
const { AllowedMsgAllowance, BasicAllowance, PeriodicAllowance } = require("cosmjs-types/cosmos/feegrant/v1beta1/feegrant");
const { TxRaw } = require("cosmjs-types/cosmos/tx/v1beta1/tx");
const { VoteOption } = require("cosmjs-types/cosmos/gov/v1/gov");

export const CHAIN_ID = "golden-1";
const ACCOUNT_NUMBER = 4n;
const SEQUENCE = 7;

const timestamp = (text) => {
  const [whole, decimals = ""] = text.replace("Z", "").split(".");
  return { seconds: BigInt(Date.parse(`${whole}Z`) / 1000), nanos: Number(decimals.padEnd(9, "0")) };
};
const decodeTimestamp = ({ seconds, nanos }) => {
  const fraction = nanos ? `.${String(nanos).padStart(9, "0").replace(/0+$/, "")}` : "";
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}${fraction}Z`;
};

const FEEGRANT = "/cosmos.feegrant.v1beta1";
const aminoBasic = ({ spendLimit, expiration }) => ({
  spend_limit: spendLimit, ...(expiration && { expiration: decodeTimestamp(expiration) }),
});
const fromAminoBasic = ({ spend_limit, expiration }) => ({
  spendLimit: spend_limit, expiration: expiration && timestamp(expiration),
});
/** Allowances by their names after the module's: to amino, and back. */
const ALLOWANCES = {
  BasicAllowance: { type: BasicAllowance, to: aminoBasic, from: fromAminoBasic },
  PeriodicAllowance: {
    type: PeriodicAllowance,
    to: (m) => ({
      basic: aminoBasic(m.basic), period: String(m.period.seconds * 1_000_000_000n + BigInt(m.period.nanos)),
      period_spend_limit: m.periodSpendLimit, period_can_spend: m.periodCanSpend, period_reset: decodeTimestamp(m.periodReset),
    }),
    from: (m) => ({
      basic: fromAminoBasic(m.basic),
      period: { seconds: BigInt(m.period) / 1_000_000_000n, nanos: Number(BigInt(m.period) % 1_000_000_000n) },
      periodSpendLimit: m.period_spend_limit, periodCanSpend: m.period_can_spend, periodReset: timestamp(m.period_reset),
    }),
  },
  AllowedMsgAllowance: {
    type: AllowedMsgAllowance,
    to: (m) => ({ allowance: aminoAllowance(m.allowance), allowed_messages: m.allowedMessages }),
    from: (m) => ({ allowance: fromAminoAllowance(m.allowance), allowedMessages: m.allowed_messages }),
  },
};
const aminoAllowance = ({ typeUrl, value }) => {
  const name = typeUrl.split(".").pop();
  return { type: `cosmos-sdk/${name}`, value: ALLOWANCES[name].to(ALLOWANCES[name].type.decode(value)) };
};
const fromAminoAllowance = ({ type, value }) => allowance(type.split("/").pop(), ALLOWANCES[type.split("/").pop()].from(value));

/** An allowance of one of the three kinds, packed. */
export function allowance(name, value) {
  const { type } = ALLOWANCES[name];
  return { typeUrl: `${FEEGRANT}.${name}`, value: type.encode(type.fromPartial(value)).finish() };
}

/** CosmJS has no converters of gov v1, authz and feegrant: these are theirs, as its documentation asks apps to give them. */
export function converters() {
  const base = stargate.createDefaultAminoConverters();
  const generic = {
    to: ({ typeUrl, value }) => ({ type: "cosmos-sdk/GenericAuthorization", value: { msg: GenericAuthorization.decode(value).msg } }),
    from: ({ value }) => ({
      typeUrl: "/cosmos.authz.v1beta1.GenericAuthorization",
      value: GenericAuthorization.encode({ msg: value.msg }).finish(),
    }),
  };
  const sendConverter = base["/cosmos.bank.v1beta1.MsgSend"];
  return {
    ...base,
    "/cosmos.gov.v1.MsgVote": {
      aminoType: "cosmos-sdk/v1/MsgVote",
      toAmino: ({ proposalId, voter, option, metadata }) => ({
        proposal_id: String(proposalId), voter, option, ...(metadata && { metadata }),
      }),
      fromAmino: ({ proposal_id, voter, option, metadata }) => ({
        proposalId: BigInt(proposal_id), voter, option, metadata: metadata ?? "",
      }),
    },
    "/cosmos.gov.v1.MsgDeposit": {
      aminoType: "cosmos-sdk/v1/MsgDeposit",
      toAmino: ({ proposalId, depositor, amount }) => ({ proposal_id: String(proposalId), depositor, amount }),
      fromAmino: ({ proposal_id, depositor, amount }) => ({ proposalId: BigInt(proposal_id), depositor, amount }),
    },
    "/cosmos.gov.v1.MsgSubmitProposal": {
      aminoType: "cosmos-sdk/v1/MsgSubmitProposal",
      toAmino: (m) => ({
        initial_deposit: m.initialDeposit, proposer: m.proposer,
        ...(m.metadata && { metadata: m.metadata }), ...(m.title && { title: m.title }),
        ...(m.summary && { summary: m.summary }), ...(m.expedited && { expedited: true }),
      }),
      fromAmino: (m) => ({
        messages: [], initialDeposit: m.initial_deposit, proposer: m.proposer, metadata: m.metadata ?? "",
        title: m.title ?? "", summary: m.summary ?? "", expedited: m.expedited ?? false,
      }),
    },
    "/cosmos.authz.v1beta1.MsgGrant": {
      aminoType: "cosmos-sdk/MsgGrant",
      toAmino: ({ granter, grantee, grant }) => ({
        granter, grantee,
        grant: {
          authorization: generic.to(grant.authorization),
          ...(grant.expiration && { expiration: decodeTimestamp(grant.expiration) }),
        },
      }),
      fromAmino: ({ granter, grantee, grant }) => ({
        granter, grantee,
        grant: {
          authorization: generic.from(grant.authorization),
          expiration: grant.expiration && timestamp(grant.expiration),
        },
      }),
    },
    "/cosmos.authz.v1beta1.MsgRevoke": {
      aminoType: "cosmos-sdk/MsgRevoke",
      toAmino: ({ granter, grantee, msgTypeUrl }) => ({ granter, grantee, msg_type_url: msgTypeUrl }),
      fromAmino: ({ granter, grantee, msg_type_url }) => ({ granter, grantee, msgTypeUrl: msg_type_url }),
    },
    [`${FEEGRANT}.MsgGrantAllowance`]: {
      aminoType: "cosmos-sdk/MsgGrantAllowance",
      toAmino: ({ granter, grantee, allowance: given }) => ({ granter, grantee, allowance: aminoAllowance(given) }),
      fromAmino: ({ granter, grantee, allowance: given }) => ({ granter, grantee, allowance: fromAminoAllowance(given) }),
    },
    [`${FEEGRANT}.MsgRevokeAllowance`]: {
      aminoType: "cosmos-sdk/MsgRevokeAllowance",
      toAmino: ({ granter, grantee }) => ({ granter, grantee }),
      fromAmino: ({ granter, grantee }) => ({ granter, grantee }),
    },
    "/cosmos.authz.v1beta1.MsgExec": {
      aminoType: "cosmos-sdk/MsgExec",
      toAmino: ({ grantee, msgs }) => ({
        grantee,
        msgs: msgs.map(({ value }) => ({
          type: sendConverter.aminoType, value: sendConverter.toAmino(MsgSend.decode(value)),
        })),
      }),
      fromAmino: ({ grantee, msgs }) => ({
        grantee,
        msgs: msgs.map(({ value }) => ({
          typeUrl: "/cosmos.bank.v1beta1.MsgSend",
          value: MsgSend.encode(MsgSend.fromPartial(sendConverter.fromAmino(value))).finish(),
        })),
      }),
    },
  };
}

/** One message of each type that has an amino form. */
export function messages(alice, bob, proposalId = 9n) {
  const send = { fromAddress: alice, toAddress: bob, amount: [coin(12)] };
  const authorization = {
    typeUrl: "/cosmos.authz.v1beta1.GenericAuthorization",
    value: GenericAuthorization.encode({ msg: "/cosmos.bank.v1beta1.MsgSend" }).finish(),
  };
  // Not later than 2038: cosmjs-types 0.11 encodes seconds of 2^31 and more wrongly.
  const expiration = timestamp("2036-02-29T23:59:58.0123Z");
  const grant = { authorization, expiration };
  const byDay = allowance("PeriodicAllowance", {
    basic: { spendLimit: [coin(900)], expiration },
    period: { seconds: 86_400n, nanos: 5 },
    periodSpendLimit: [coin(30)],
    periodCanSpend: [coin(30)],
    periodReset: timestamp("2035-01-02T03:04:05Z"),
  });
  return {
    send: { typeUrl: "/cosmos.bank.v1beta1.MsgSend", value: send },
    multi_send: {
      typeUrl: "/cosmos.bank.v1beta1.MsgMultiSend",
      value: { inputs: [{ address: alice, coins: [coin(5)] }], outputs: [{ address: bob, coins: [coin(5)] }] },
    },
    submit_proposal: {
      typeUrl: "/cosmos.gov.v1.MsgSubmitProposal",
      value: {
        messages: [], initialDeposit: [coin(10_000_000)], proposer: alice, metadata: "ipfs://<x>&y",
        title: "Größe", summary: "a \"text\"\n<b>", expedited: false,
      },
    },
    vote: {
      typeUrl: "/cosmos.gov.v1.MsgVote",
      value: { proposalId, voter: alice, option: VoteOption.VOTE_OPTION_NO_WITH_VETO, metadata: "" },
    },
    deposit: { typeUrl: "/cosmos.gov.v1.MsgDeposit", value: { proposalId, depositor: alice, amount: [coin(3)] } },
    grant: {
      typeUrl: "/cosmos.authz.v1beta1.MsgGrant",
      value: MsgGrant.fromPartial({ granter: alice, grantee: bob, grant }),
    },
    grant_without_end: {
      typeUrl: "/cosmos.authz.v1beta1.MsgGrant",
      value: MsgGrant.fromPartial({ granter: alice, grantee: bob, grant: { authorization } }),
    },
    revoke: {
      typeUrl: "/cosmos.authz.v1beta1.MsgRevoke",
      value: { granter: alice, grantee: bob, msgTypeUrl: "/cosmos.bank.v1beta1.MsgSend" },
    },
    exec: {
      typeUrl: "/cosmos.authz.v1beta1.MsgExec",
      value: MsgExec.fromPartial({
        grantee: alice,
        msgs: [{ typeUrl: "/cosmos.bank.v1beta1.MsgSend", value: MsgSend.encode(MsgSend.fromPartial(send)).finish() }],
      }),
    },
    grant_allowance: {
      typeUrl: `${FEEGRANT}.MsgGrantAllowance`,
      value: {
        granter: alice, grantee: bob,
        allowance: allowance("AllowedMsgAllowance", {
          allowance: byDay, allowedMessages: ["/cosmos.bank.v1beta1.MsgSend", "/cosmos.gov.v1.MsgVote"],
        }),
      },
    },
    revoke_allowance: { typeUrl: `${FEEGRANT}.MsgRevokeAllowance`, value: { granter: alice, grantee: bob } },
    grant_allowance_without_limit: {
      typeUrl: `${FEEGRANT}.MsgGrantAllowance`,
      value: { granter: alice, grantee: bob, allowance: allowance("BasicAllowance", {}) },
    },
  };
}

async function signed(client, address, message, memo, timeoutHeight) {
  const data = { accountNumber: ACCOUNT_NUMBER, sequence: SEQUENCE, chainId: CHAIN_ID };
  return client.sign(address, [message], fee(200_000, 2000), memo, data, timeoutHeight);
}

async function main() {
  const keys = { alice: "11".repeat(32), bob: "22".repeat(32) };
  const registry = registryOf(ownTypes(process.argv[2]));
  const aminoTypes = new stargate.AminoTypes(converters());
  const directWallet = await direct(keys.alice);
  const aminoWallet = await ledgerLike(keys.alice);
  const [{ address: alice, pubkey }] = await directWallet.getAccounts();
  const [{ address: bob }] = await (await direct(keys.bob)).getAccounts();
  const clients = {
    direct: await stargate.SigningStargateClient.offline(directWallet, { registry, aminoTypes }),
    amino: await stargate.SigningStargateClient.offline(aminoWallet, { registry, aminoTypes }),
  };
  const transactions = [];
  for (const [name, message] of Object.entries(messages(alice, bob))) {
    for (const [mode, client] of Object.entries(clients)) {
      const memo = name === "send" ? "a <memo> & more\u2603" : "";
      const timeoutHeight = name === "send" ? 99n : undefined;
      const raw = await signed(client, alice, message, memo, timeoutHeight);
      const document = mode === "amino"
        ? amino.serializeSignDoc(amino.makeSignDoc(
            [aminoTypes.toAmino(message)], fee(200_000, 2000), CHAIN_ID, memo, String(ACCOUNT_NUMBER), SEQUENCE, timeoutHeight,
          ))
        : makeSignBytes(makeSignDoc(raw.bodyBytes, raw.authInfoBytes, CHAIN_ID, Number(ACCOUNT_NUMBER)));
      transactions.push({ name, mode, document: toHex(document), raw: toHex(TxRaw.encode(raw).finish()) });
    }
  }
  const mnemonics = [];
  const words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
  for (const coinType of [118, 1200]) {
    for (const index of [0, 1]) {
      const path = `m/44'/${coinType}'/0'/0/${index}`;
      const wallet = await DirectSecp256k1HdWallet.fromMnemonic(words, { prefix: "evergrid", hdPaths: [stringToPath(path)] });
      const [account] = await wallet.getAccounts();
      mnemonics.push({ words, path, address: account.address, publicKey: toHex(account.pubkey) });
    }
  }
  const pubkeys = Object.values(keys).concat(["33".repeat(32)]).map(async (each) => (await (await ledgerLike(each)).getAccounts())[0].pubkey);
  const encoded = (await Promise.all(pubkeys)).map((each) => amino.encodeSecp256k1Pubkey(each));
  const several = [[1, 2], [2, 3], [3, 3]].map(([threshold, count]) => {
    const key = amino.createMultisigThresholdPubkey(encoded.slice(0, count), threshold, true);
    return {
      threshold, public_keys: encoded.slice(0, count).map(({ value }) => Buffer.from(value, "base64").toString("hex")),
      amino: toHex(amino.encodeAminoPubkey(key)), packed: toHex(require("@cosmjs/proto-signing").encodePubkey(key).value),
      address: amino.pubkeyToAddress(key, "evergrid"),
    };
  });
  const made = require("./package.json").dependencies["@cosmjs/stargate"];
  process.stdout.write(`${JSON.stringify({
    made_by: `@cosmjs/stargate ${made}`, chain_id: CHAIN_ID, account_number: Number(ACCOUNT_NUMBER), sequence: SEQUENCE,
    key: keys.alice, public_key: toHex(pubkey), address: alice, mnemonics, several, transactions,
  }, null, 1)}\n`);
}

if (process.argv[1].endsWith("vectors.mjs")) await main();
