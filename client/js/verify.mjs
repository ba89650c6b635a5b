// Checks a bundle that `evergrid verify ... --bundle FILE` wrote: with no network, no dependencies, in Node or in
// a browser (Web Crypto with SHA-256 and Ed25519). It believes nothing but the height and the hash that its caller
// trusts, and refuses by the same codes as `client/verify_bundle.py`.
//
//   import { verifyBundle } from "./verify.mjs";
//   const proved = await verifyBundle(text, { height: 3n, hash: "164F..." });
//
//   node verify.mjs BUNDLE --trusted-height HEIGHT --trusted-hash HASH [--trusting-period-hours N] [--now-ns N]

const FORMAT = "evergrid-proof/1";
const NS = 1_000_000_000n;
const HOUR_NS = 3600n * NS;
const DRIFT_NS = 10n * NS;
const INT64_MAX = 2n ** 63n - 1n;
const POWER_MAX = INT64_MAX / 8n;
const VALIDATORS_MAX = 10_000;
const DEPTH_MAX = 96;
const FIELDS_MAX = 128;
const BUNDLE_CHARS_MAX = 16 * 2 ** 20;
const ABSENT = 1, COMMIT = 2, NIL = 3, PRECOMMIT = 2n;
const NO_TIME = "0001-01-01T00:00:00Z";
const KEY_TYPE = "tendermint/PubKeyEd25519";
const HASH_NAMES = [
  "last_commit_hash", "data_hash", "validators_hash", "next_validators_hash",
  "consensus_hash", "app_hash", "last_results_hash", "evidence_hash",
];

/** Something that is not as it has to be; `code` says what, in the words that every client uses. */
export class VerifyError extends Error {
  constructor(code, text) {
    super(text);
    this.name = "VerifyError";
    this.code = code;
  }
}

const refuse = (code, text) => { throw new VerifyError(code, text); };
const malformed = (text) => refuse("malformed", text);

// Bytes

const join = (...parts) => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
};
const of = (...bytes) => Uint8Array.from(bytes);
const utf8 = (text) => new TextEncoder().encode(text);
const equal = (left, right) => compare(left, right) === 0;
const compare = (left, right) => {
  const common = Math.min(left.length, right.length);
  for (let i = 0; i < common; i++) if (left[i] !== right[i]) return left[i] - right[i];
  return left.length - right.length;
};
const toHex = (raw) => Array.from(raw, (byte) => byte.toString(16).padStart(2, "0")).join("");
const fromHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const sha256 = async (raw) => new Uint8Array(await crypto.subtle.digest("SHA-256", raw));

// Protobuf: writing, with fields of zero left out

const uvarint = (number) => {
  const bytes = [];
  let rest = BigInt(number);
  while (rest > 0x7fn) { bytes.push(Number(rest & 0x7fn) | 0x80); rest >>= 7n; }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
};
const tag = (number, wire) => uvarint((number << 3) | wire);
const messageField = (number, raw) => join(tag(number, 2), uvarint(raw.length), raw);
const bytesField = (number, raw) => (raw.length ? messageField(number, raw) : of());
const numberField = (number, value) => (value ? join(tag(number, 0), uvarint(BigInt.asUintN(64, value))) : of());
const fixedField = (number, value) => {
  if (!value) return of();
  const raw = new Uint8Array(8);
  new DataView(raw.buffer).setBigInt64(0, value, true);
  return join(tag(number, 1), raw);
};

// Protobuf: reading, strictly in the one form that honest nodes write

const readUvarint = (raw, at) => {
  let number = 0n;
  for (let i = 0; i < 10 && at + i < raw.length; i++) {
    const byte = raw[at + i];
    number |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) {
      if (byte === 0 && i > 0) break;
      return [number, at + i + 1];
    }
  }
  return malformed("a number is cut off, too long, or not in its shortest form");
};
const readFields = (raw) => {
  const entries = [];
  let at = 0, last = 0n;
  while (at < raw.length) {
    let key, length;
    if (entries.length === FIELDS_MAX) malformed("a message of the proof has too many fields");
    [key, at] = readUvarint(raw, at);
    const number = key >> 3n, wire = key & 7n;
    if (number < 1n || number < last || (wire !== 0n && wire !== 2n)) malformed("fields are out of order or unknown");
    last = number;
    [length, at] = readUvarint(raw, at);
    if (length === 0n) malformed("an empty field is left out");
    if (wire === 0n) { entries.push([Number(number), length]); continue; }
    if (BigInt(at) + length > BigInt(raw.length)) malformed("a field is longer than its message");
    entries.push([Number(number), raw.slice(at, at + Number(length))]);
    at += Number(length);
  }
  return entries;
};
const readMessage = (entries, numbers, texts) => {
  const found = {};
  for (const text of texts) found[text] = of();
  const left = { ...numbers }, seen = new Set();
  for (const [number, held] of entries) {
    if (seen.has(number)) malformed("a field comes twice");
    seen.add(number);
    if (held instanceof Uint8Array ? !texts.includes(number) : left[number] !== held) {
      malformed("a message of the proof has fields or hashes that the specs do not know");
    }
    if (held instanceof Uint8Array) found[number] = held;
    else delete left[number];
  }
  if (Object.keys(left).length) malformed("a message of the proof lacks its hashes");
  return found;
};

// ICS-23: IavlSpec for the tree of a store, TendermintSpec for the stores under the app hash

const checkIavlLeaf = (prefix) => {
  let height, size, at;
  [height, at] = readUvarint(prefix, 0);
  [size, at] = readUvarint(prefix, at);
  [, at] = readUvarint(prefix, at);
  if (height !== 0n || size !== 2n || at !== prefix.length) malformed("the leaf of a tree begins otherwise");
};
const checkIavlStep = ({ prefix, suffix }, layer) => {
  let height, at;
  [height, at] = readUvarint(prefix, 0);
  [, at] = readUvarint(prefix, at);
  [, at] = readUvarint(prefix, at);
  if (height % 2n || height / 2n < BigInt(layer)) malformed("a step of a tree is lower than what is below it");
  const rest = prefix.slice(at);
  const left = rest.length === 1 && rest[0] === 32 && suffix.length === 33 && suffix[0] === 32;
  const right = rest.length === 34 && rest[0] === 32 && rest[33] === 32 && !suffix.length;
  if (!left && !right) malformed("a step of a tree has one other hash beside it");
};
const checkSimpleLeaf = (prefix) => {
  if (prefix.length !== 1 || prefix[0] !== 0) malformed("the leaf of a store begins with a zero byte");
};
const checkSimpleStep = ({ prefix, suffix }) => {
  const left = prefix.length === 1 && prefix[0] === 1 && suffix.length === 32;
  const right = prefix.length === 33 && prefix[0] === 1 && !suffix.length;
  if (!left && !right) malformed("a step between stores has one other hash beside it");
};

const readProof = (op, checkLeaf, checkStep) => {
  const existence = (raw) => {
    const entries = readFields(raw);
    const head = readMessage(entries.filter(([number]) => number !== 4), {}, [1, 2, 3]);
    const path = entries.filter(([number]) => number === 4).map(([, step]) => {
      if (!(step instanceof Uint8Array)) malformed("a step is a message");
      const found = readMessage(readFields(step), { 1: 1n }, [2, 3]);
      return { prefix: found[2], suffix: found[3] };
    });
    const prefix = readMessage(readFields(head[3]), { 1: 1n, 3: 1n, 4: 1n }, [5])[5];
    if (path.length > DEPTH_MAX) malformed("a proof has too many steps");
    checkLeaf(prefix);
    path.forEach((step, index) => checkStep(step, index + 1));
    return { key: head[1], value: head[2], prefix, path };
  };
  const entries = readFields(op.data);
  if (entries.length !== 1 || !(entries[0][1] instanceof Uint8Array) || entries[0][0] > 2) {
    malformed("a proof holds either existence or absence");
  }
  const [number, raw] = entries[0];
  if (number === 1) return existence(raw);
  const found = readMessage(readFields(raw), {}, [1, 2, 3]);
  const [left, right] = [2, 3].map((side) => (found[side].length ? existence(found[side]) : null));
  if (!left && !right) malformed("absence has at least one neighbour");
  return { key: found[1], absent: true, left, right };
};

const existenceRoot = async ({ key, value, prefix, path }) => {
  let node = await sha256(join(prefix, uvarint(key.length), key, of(32), await sha256(value)));
  for (const step of path) node = await sha256(join(step.prefix, node, step.suffix));
  return node;
};
const rootOf = async (proof) => {
  if (!proof.absent) return existenceRoot(proof);
  const roots = await Promise.all([proof.left, proof.right].filter(Boolean).map(existenceRoot));
  if (roots.length === 2 && !equal(...roots)) refuse("wrong_root", "the two neighbours are not under one root");
  return roots[0];
};

const isLeft = (step) => step.suffix.length > 0;
const areNeighbours = (left, right) => {
  const same = (one, other) => equal(one.prefix, other.prefix) && equal(one.suffix, other.suffix);
  let l = left.length - 1, r = right.length - 1;
  while (l >= 0 && r >= 0 && same(left[l], right[r])) { l--; r--; }
  if (l < 0 || r < 0) return false;
  const parted = isLeft(left[l]) && !isLeft(right[r]);
  return parted && !left.slice(0, l).some(isLeft) && right.slice(0, r).every(isLeft);
};
const checkAbsence = ({ key, left, right }) => {
  if (left && compare(left.key, key) >= 0) refuse("not_absent", "the left neighbour is not left of the key");
  if (right && compare(key, right.key) >= 0) refuse("not_absent", "the right neighbour is not right of the key");
  if (left && right) {
    if (!areNeighbours(left.path, right.path)) refuse("not_absent", "there is room between the two neighbours");
  } else if ((left ?? right).path.some((step) => isLeft(step) === Boolean(left))) {
    refuse("not_absent", "the only neighbour is not the last leaf of its side");
  }
};
const checkHeld = (proof, value) => {
  if (!proof.absent) {
    if (value === null) refuse("wrong_value", "the proof is of a value, not of absence");
    if (!equal(proof.value, value)) refuse("wrong_value", "the proof is of another value");
    return;
  }
  if (value !== null) refuse("wrong_value", "the proof is of absence, not of a value");
  checkAbsence(proof);
};
const verifyStore = async (appHash, store, root, op) => {
  const proof = readProof(op, checkSimpleLeaf, checkSimpleStep);
  const name = utf8(store);
  if (!equal(op.key, name) || !equal(proof.key, name)) refuse("wrong_store", `the proof is not of the store ${store}`);
  if (!equal(await rootOf(proof), appHash)) refuse("wrong_root", "the proof does not lead to the app hash");
  if (!proof.absent && root !== null && !equal(proof.value, root)) {
    refuse("wrong_root", `the proof of the key does not lead to the root of the store ${store}`);
  }
  checkHeld(proof, root);
};

/** That a key of a store has a value (null: is absent) under an app hash; throws VerifyError. */
export const verifyKey = async (appHash, store, key, value, ops) => {
  const types = ops.map((op) => op.type).join();
  if (types === "ics23:simple" && value === null) return verifyStore(appHash, store, null, ops[0]);
  if (types !== "ics23:iavl,ics23:simple") malformed("a proof has the links ics23:iavl and ics23:simple");
  const tree = readProof(ops[0], checkIavlLeaf, checkIavlStep);
  await verifyStore(appHash, store, await rootOf(tree), ops[1]);
  if (!equal(ops[0].key, key) || !equal(tree.key, key)) refuse("wrong_key", "the proof is of another key");
  return checkHeld(tree, value);
};

// CometBFT's JSON

const fields = (value, what, names, optional = []) => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) malformed(`${what} is an object`);
  for (const name of names) if (!Object.hasOwn(value, name)) malformed(`${what} lacks ${name}`);
  for (const name of Object.keys(value)) {
    if (!names.includes(name) && !optional.includes(name)) malformed(`${what} has the unknown ${name}`);
  }
  return value;
};
const list = (value, what) => (Array.isArray(value) ? value : malformed(`${what} is a list`));
const numberText = (value, what) => {
  if (typeof value !== "string" || !/^(?:0|[1-9][0-9]{0,18})$/.test(value) || BigInt(value) > INT64_MAX) {
    malformed(`${what} is a number in text`);
  }
  return BigInt(value);
};
const integer = (value, what) =>
  Number.isInteger(value) && value >= 0 && value < 2 ** 31 ? BigInt(value) : malformed(`${what} is a number`);
const upperHex = (value, what, ...lengths) => {
  if (typeof value !== "string" || !/^(?:[0-9A-F]{2})*$/.test(value) || !lengths.includes(value.length / 2)) {
    malformed(`${what} is hexadecimal in capital letters, of the right length`);
  }
  return fromHex(value);
};
const base64 = (value, what, length) => {
  if (typeof value !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(value)) malformed(`${what} is no base64`);
  let text;
  try { text = atob(value); } catch { malformed(`${what} is no base64`); }
  if (text.length !== length || btoa(text) !== value) malformed(`${what} is ${length} bytes in base64`);
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
};
const readTime = (text) => {
  const match = typeof text === "string" &&
    /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{0,8}[1-9]))?Z$/.exec(text);
  if (!match) malformed("a time is RFC 3339 in UTC");
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const there = year > 0 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day &&
    hour < 24 && minute < 60 && second < 60;
  if (!there) malformed(`there is no time ${text}`);
  const seconds = BigInt(date.getTime() / 1000), nanos = BigInt((match[7] ?? "").padEnd(9, "0"));
  return { ns: seconds * NS + nanos, raw: join(numberField(1, seconds), numberField(2, nanos)) };
};
const readBlockId = (value) => {
  const found = fields(value, "a block id", ["hash", "parts"]);
  const parts = fields(found.parts, "parts", ["total", "hash"]);
  const hash = upperHex(found.hash, "hash", 0, 32);
  const encoded = join(numberField(1, integer(parts.total, "total")), bytesField(2, upperHex(parts.hash, "hash", 0, 32)));
  return { hash, raw: join(bytesField(1, hash), messageField(2, encoded)) };
};

// RFC 6962: the split is at the largest power of two below the number of leaves
const merkleRoot = async (leaves) => {
  if (leaves.length === 0) return sha256(of());
  if (leaves.length === 1) return sha256(join(of(0), leaves[0]));
  let cut = 1;
  while (cut * 2 < leaves.length) cut *= 2;
  return sha256(join(of(1), await merkleRoot(leaves.slice(0, cut)), await merkleRoot(leaves.slice(cut))));
};

const readHeader = async (value) => {
  const names = ["version", "chain_id", "height", "time", "last_block_id", ...HASH_NAMES, "proposer_address"];
  const found = fields(value, "a header", names);
  const version = fields(found.version, "a version", ["block"], ["app"]);
  const app = Object.hasOwn(version, "app") ? version.app : "0";
  if (typeof found.chain_id !== "string") malformed("a chain id is text");
  const height = numberText(found.height, "height"), time = readTime(found.time);
  const hashes = HASH_NAMES.map((name) => upperHex(found[name], name, 0, 32));
  const leaves = [
    join(numberField(1, numberText(version.block, "block")), numberField(2, numberText(app, "app"))),
    bytesField(1, utf8(found.chain_id)),
    numberField(1, height),
    time.raw,
    readBlockId(found.last_block_id).raw,
    ...[...hashes, upperHex(found.proposer_address, "proposer_address", 20)].map((each) => bytesField(1, each)),
  ];
  return {
    chainId: found.chain_id, height, timeNs: time.ns, hash: await merkleRoot(leaves),
    validatorsHash: hashes[2], nextValidatorsHash: hashes[3], appHash: hashes[5],
  };
};
const readVote = (value) => {
  const found = fields(value, "a signature", ["block_id_flag", "validator_address", "timestamp", "signature"]);
  const flag = found.block_id_flag;
  if (flag === ABSENT) {
    if (found.validator_address !== "" || found.timestamp !== NO_TIME || found.signature) {
      malformed("an absent validator neither votes nor signs");
    }
    return { flag };
  }
  if (flag !== COMMIT && flag !== NIL) malformed("a validator is absent, or votes for the block or for none");
  const address = upperHex(found.validator_address, "validator_address", 20);
  return { flag, address, time: readTime(found.timestamp), signature: base64(found.signature, "signature", 64) };
};
const readCommit = (value) => {
  const found = fields(value, "a commit", ["height", "round", "block_id", "signatures"]);
  return {
    height: numberText(found.height, "height"),
    round: integer(found.round, "round"),
    blockId: readBlockId(found.block_id),
    votes: list(found.signatures, "signatures").map(readVote),
  };
};
const readValidator = async (value) => {
  const found = fields(value, "a validator", ["address", "pub_key", "voting_power"], ["proposer_priority"]);
  const { type, value: text } = fields(found.pub_key, "a key", ["type", "value"]);
  if (type !== KEY_TYPE) malformed(`the key of a validator is a ${KEY_TYPE}`);
  const key = base64(text, "pub_key", 32), power = numberText(found.voting_power, "voting_power");
  if (power <= 0n || power > POWER_MAX) malformed("a validator has power");
  const address = (await sha256(key)).slice(0, 20);
  if (!equal(upperHex(found.address, "address", 20), address)) malformed("an address does not follow from its key");
  return { key, power, address, raw: join(messageField(1, bytesField(1, key)), numberField(2, power)) };
};
const readBlock = async (value) => {
  const found = fields(value, "a light block", ["header", "commit", "validators"]);
  const entries = list(found.validators, "validators");
  if (!entries.length || entries.length > VALIDATORS_MAX) malformed("a validator set has 1 to 10000 entries");
  const validators = await Promise.all(entries.map(readValidator));
  if (new Set(validators.map((each) => toHex(each.key))).size !== validators.length) malformed("a validator comes twice");
  const header = await readHeader(found.header), commit = readCommit(found.commit);
  return { header, commit, validators, validatorsHash: await merkleRoot(validators.map((each) => each.raw)) };
};

// The rules of CometBFT's light client

const checkHeader = ({ header, commit, validatorsHash }, chainId) => {
  if (header.chainId !== chainId) refuse("wrong_chain", `a header of ${header.chainId}, not of ${chainId}`);
  if (commit.height !== header.height || header.height < 1n) refuse("wrong_height", "header and commit differ in height");
  if (!equal(commit.blockId.hash, header.hash)) refuse("forged_header", "the commit is for another header");
  if (!equal(validatorsHash, header.validatorsHash)) refuse("wrong_validators", "the header names other validators");
};
const signedBytes = ({ header, commit }, vote) => {
  const body = join(
    numberField(1, PRECOMMIT),
    fixedField(2, commit.height),
    fixedField(3, commit.round),
    vote.flag === COMMIT ? messageField(4, commit.blockId.raw) : of(),
    messageField(5, vote.time.raw),
    bytesField(6, utf8(header.chainId)),
  );
  return join(uvarint(body.length), body);
};
const signatureHolds = async (publicKey, signature, signed) => {
  try {
    const key = await crypto.subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"]);
    return await crypto.subtle.verify({ name: "Ed25519" }, key, signature, signed);
  } catch (error) {
    if (error?.name === "NotSupportedError") throw error;
    return false;
  }
};
const checkVotes = async (block) => {
  const { commit, validators, header } = block;
  if (commit.votes.length !== validators.length) refuse("wrong_validators", "votes and validators differ in number");
  let power = 0n;
  for (const [index, validator] of validators.entries()) {
    const vote = commit.votes[index];
    if (vote.flag === ABSENT) continue;
    if (!equal(vote.address, validator.address)) refuse("wrong_validators", `vote ${index} is another validator's`);
    if (!(await signatureHolds(validator.key, vote.signature, signedBytes(block, vote)))) {
      refuse("bad_signature", `vote ${index} at height ${header.height} is not signed by its validator`);
    }
    if (vote.flag === COMMIT) power += validator.power;
  }
  const total = validators.reduce((sum, each) => sum + each.power, 0n);
  if (power * 3n <= total * 2n) refuse("too_few_signatures", `${power} of a power of ${total} signed`);
};
const checkTrustedPower = (trusted, block) => {
  const voters = new Set(block.commit.votes.filter((each) => each.flag === COMMIT).map((each) => toHex(each.address)));
  let power = 0n, total = 0n;
  for (const each of trusted.validators) {
    total += each.power;
    if (voters.has(toHex(each.address))) power += each.power;
  }
  if (power * 3n <= total) refuse("not_enough_trust", `${power} of the trusted power of ${total} signed`);
};
const verifyNext = async (trusted, block, nowNs, periodNs) => {
  const before = trusted.header, header = block.header;
  if (before.timeNs + periodNs <= nowNs) refuse("trust_expired", "the trusted header is older than the trusting period");
  if (header.height <= before.height) refuse("wrong_height", "a header does not follow the one before");
  const adjacent = header.height === before.height + 1n;
  if (adjacent && !equal(header.validatorsHash, before.nextValidatorsHash)) {
    refuse("wrong_validators", "the validators are not those announced before");
  }
  if (header.timeNs <= before.timeNs) refuse("time_not_rising", "a header is not later than the one before");
  if (header.timeNs > nowNs + DRIFT_NS) refuse("from_future", "a header is from the future");
  checkHeader(block, before.chainId);
  if (!adjacent) checkTrustedPower(trusted, block);
  await checkVotes(block);
};

// What can be asked, and where it lies

const U64 = (text) => {
  if (!/^[0-9]+$/.test(text) || BigInt(text) >= 2n ** 64n) malformed(`${text} is no number of 64 bits`);
  const raw = new Uint8Array(8);
  new DataView(raw.buffer).setBigUint64(0, BigInt(text));
  return raw;
};
const STR = (text) => (text.includes("\0") ? malformed("text in a key holds no zero byte") : join(utf8(text), of(0)));
const under = (collection, ...parts) => join(utf8(`${collection}/`), ...parts);
const group = ([epoch, model = ""]) => under("groups", U64(epoch), STR(model));
const FACTS = {
  model: ["models", 1, 1, ([id]) => under("registry", STR(id))],
  epoch: ["epochs", 1, 2, (args) => (args.length === 1 ? under("records", U64(args[0])) : group(args))],
  group: ["epochs", 1, 2, group],
  slot: ["epochs", 4, 4, ([epoch, model, who]) => under("members", U64(epoch), STR(model), STR(who))],
  weight: ["epochs", 2, 3, ([epoch, who, model = ""]) => under("members", U64(epoch), STR(model), STR(who))],
  settlement: ["rewards", 1, 1, ([epoch]) => under("settlements", U64(epoch))],
  reward: ["rewards", 2, 2, ([epoch, who]) => under("amounts", U64(epoch), STR(who))],
  balance: ["bank", 1, 2, ([who, denom = "nevg"]) => under("balances", STR(who), STR(denom))],
};
const readQuestion = (value) => {
  const { kind, args } = fields(value, "a question", ["kind", "args"]);
  if (typeof kind !== "string" || !Object.hasOwn(FACTS, kind)) malformed("nothing is known of this kind of question");
  const [store, fewest, most, key] = FACTS[kind];
  if (!list(args, "args").every((each) => typeof each === "string")) malformed("the args of a question are texts");
  if (args.length < fewest || args.length > most) malformed(`${kind} takes other args`);
  return { kind, args, store, key: key(args) };
};

// A bundle

const lowerHex = (value, what) =>
  typeof value === "string" && /^(?:[0-9a-f]{2})*$/.test(value) ? fromHex(value) : malformed(`${what} is hexadecimal`);

/** What JSON says, if each name stands once in its object and all text is Unicode. */
const readJson = (text) => {
  if (text.length > BUNDLE_CHARS_MAX) malformed("a bundle is too large");
  let names = 0;
  try {
    const value = JSON.parse(text, function (name, held) {
      if (!Array.isArray(this)) names++;
      if (!name.isWellFormed() || (typeof held === "string" && !held.isWellFormed())) throw new Error("text is no Unicode");
      return held;
    });
    // All text is taken in as one token, so that colons within it do not count.
    for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"\s*:?/g)) names -= token.endsWith(":");
    // The whole is called by the empty name.
    if (names !== 1) throw new Error("a name stands twice in an object");
    return value;
  } catch (error) {
    return malformed(`a bundle is JSON: ${error.message}`);
  }
};

const checkPath = async (blocks, height, chainId, trusted, nowNs, periodNs) => {
  if (!blocks.length) malformed("a bundle holds at least one block");
  const root = blocks[0];
  if (root.header.height !== BigInt(trusted.height)) refuse("wrong_height", "the first header has not the trusted height");
  if (!equal(root.header.hash, fromHex(trusted.hash))) refuse("forged_header", "the first header has not the trusted hash");
  checkHeader(root, root.header.chainId);
  await checkVotes(root);
  if (root.header.chainId !== chainId) refuse("wrong_chain", "the bundle names another chain than its headers");
  for (let i = 1; i < blocks.length; i++) await verifyNext(blocks[i - 1], blocks[i], nowNs, periodNs);
  if (blocks.at(-1).header.height !== height + 1n) refuse("wrong_height", "the last header is not that of the next block");
};

/**
 * What a bundle proves, from a trusted header on; throws VerifyError.
 * trusted: { height, hash (hex) }. Times are nanoseconds as BigInt; a value of null is proved to be absent.
 */
export const verifyBundle = async (text, trusted, options = {}) => {
  const { nowNs = BigInt(Date.now()) * 1_000_000n, periodNs = 336n * HOUR_NS } = options;
  if (!/^[0-9a-fA-F]{64}$/.test(trusted.hash)) throw new TypeError("a trusted hash is 64 hexadecimal digits");
  const names = ["format", "chain_id", "question", "height", "store", "key", "value", "proof", "blocks"];
  const found = fields(readJson(text), "a bundle", names);
  if (found.format !== FORMAT) malformed(`the format of a bundle is ${FORMAT}`);
  const question = readQuestion(found.question);
  if (found.store !== question.store) refuse("wrong_store", `the question lies in the store ${question.store}`);
  if (!equal(lowerHex(found.key, "key"), question.key)) refuse("wrong_key", "the question lies under another key");
  if (typeof found.height !== "string" || !/^[1-9][0-9]{0,17}$/.test(found.height)) malformed("a height is a number in text");
  const height = BigInt(found.height), held = found.value === null ? null : lowerHex(found.value, "value");
  const blocks = [];
  for (const each of list(found.blocks, "blocks")) blocks.push(await readBlock(each));
  await checkPath(blocks, height, found.chain_id, trusted, nowNs, periodNs);
  const ops = list(found.proof, "proof").map((each) => {
    const op = fields(each, "a link of a proof", ["type", "key", "data"]);
    return { type: String(op.type), key: lowerHex(op.key, "key"), data: lowerHex(op.data, "data") };
  });
  const { header } = blocks.at(-1);
  await verifyKey(header.appHash, question.store, question.key, held, ops);
  return {
    kind: question.kind, args: question.args, stateHeight: height, value: held, chainId: header.chainId,
    header: { height: header.height, hash: toHex(header.hash).toUpperCase() }, headersChecked: blocks.length,
  };
};

// The command line of Node

const main = async (args) => {
  const { readFile } = await import("node:fs/promises");
  const options = {}, files = [];
  for (let i = 0; i < args.length; i++) {
    if (args[i].startsWith("--")) options[args[i].slice(2)] = args[++i];
    else files.push(args[i]);
  }
  const { "trusted-height": height, "trusted-hash": hash, "trusting-period-hours": hours = "336" } = options;
  const { "now-ns": nowNs = "" } = options;
  const fits = /^[1-9][0-9]{0,17}$/.test(height ?? "") && /^[0-9a-fA-F]{64}$/.test(hash ?? "") &&
    /^[1-9][0-9]{0,8}$/.test(hours) && /^[0-9]{0,20}$/.test(nowNs);
  if (files.length !== 1 || !fits) {
    console.error("usage: verify.mjs BUNDLE --trusted-height HEIGHT --trusted-hash HASH [--trusting-period-hours N] [--now-ns N]");
    return 2;
  }
  const rules = { periodNs: BigInt(hours) * HOUR_NS };
  if (nowNs) rules.nowNs = BigInt(nowNs);
  try {
    const proved = await verifyBundle(await readFile(files[0], "utf8"), { height, hash }, rules);
    const amount = proved.kind === "balance" && proved.value && BigInt(`0x${toHex(proved.value)}`);
    const shown = { ...proved, value: proved.value && toHex(proved.value), ...(amount !== false && { amount }) };
    console.log(JSON.stringify(shown, (_, each) => (typeof each === "bigint" ? String(each) : each)));
    return proved.value === null ? 3 : 0;
  } catch (error) {
    const known = error instanceof VerifyError;
    console.error(known ? `not verified, ${error.code}: ${error.message}` : String(error));
    return known ? 4 : 1;
  }
};

if (globalThis.process?.argv?.[1]) {
  const { pathToFileURL } = await import("node:url");
  if (import.meta.url === pathToFileURL(process.argv[1]).href) process.exitCode = await main(process.argv.slice(2));
}
