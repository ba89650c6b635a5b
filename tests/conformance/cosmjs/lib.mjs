// What all scripts share: CosmJS as it is published, our declarations, and wallets of the chain under test.
// The packages lie under the working directory, not beside this file.
import { createRequire } from "node:module";

export const require = createRequire(`${process.cwd()}/`);

const { DirectSecp256k1Wallet, Registry } = require("@cosmjs/proto-signing");
const { Secp256k1Wallet } = require("@cosmjs/amino");
const stargate = require("@cosmjs/stargate");
const protobuf = require("protobufjs");

export const DENOM = "nevg";

/** Types of ours, read from our .proto files by protobufjs, so that no generated code stands between. */
export function ownTypes(protoRoot) {
  const root = new protobuf.Root();
  const bundled = `${process.cwd()}/node_modules/protobufjs`;
  root.resolvePath = (_from, path) => `${path.startsWith("google/protobuf/") ? bundled : protoRoot}/${path}`;
  root.loadSync(["evergrid/hardware/v1/hardware.proto", "evergrid/models/v1/models.proto"], {
    keepCase: true,
  });
  return (name) => root.lookupType(name);
}

export function registryOf(type) {
  const registry = new Registry(stargate.defaultRegistryTypes);
  for (const name of [
    "evergrid.hardware.v1.MsgSubmitNewParticipant",
    "evergrid.hardware.v1.MsgSubmitHardwareDiff",
    "evergrid.models.v1.MsgRegisterModel",
  ]) {
    registry.register(`/${name}`, type(name));
  }
  return registry;
}

export const direct = (key) => DirectSecp256k1Wallet.fromKey(Buffer.from(key, "hex"), "evergrid");
export const ledgerLike = (key) => Secp256k1Wallet.fromKey(Buffer.from(key, "hex"), "evergrid");
export const coin = (amount, denom = DENOM) => ({ denom, amount: String(amount) });
export const fee = (gas, amount) => ({ amount: amount ? [coin(amount)] : [], gas: String(gas) });
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(what, happened, seconds = 30) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await happened();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s for ${what}`);
    await sleep(200);
  }
}

const CHECK_SECONDS = 40;

async function expired(seconds) {
  await sleep(seconds * 1000);
  throw new Error(`not done after ${seconds} s`);
}

/** Runs the checks in order, one line of JSON for each; a check's value is what it returns, for the caller to judge. */
export async function report(checks, world) {
  for (const [name, check] of Object.entries(checks)) {
    let line;
    try {
      line = { name, ok: true, value: await Promise.race([check(world), expired(CHECK_SECONDS)]) };
    } catch (error) {
      line = { name, ok: false, error: String(error?.stack ?? error) };
    }
    process.stdout.write(`${JSON.stringify(line, (_, v) => (typeof v === "bigint" ? String(v) : v))}\n`);
  }
}
