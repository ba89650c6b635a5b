// Reads cases as JSON from the standard input and writes for each the code of its refusal, or "proved".
import { readFileSync } from "node:fs";
import { verifyBundle } from "../../client/js/verify.mjs";

const { bundles, cases } = JSON.parse(readFileSync(0, "utf8"));
const codes = [];
for (const { bundle, at, byte, text, height, hash, nowNs } of cases) {
  let raw = Buffer.from(text ?? bundles[bundle], "utf8");
  if (at !== undefined) raw[at] = byte;
  try {
    // As a browser reads a file: bytes that are no UTF-8 are refused.
    const read = new TextDecoder("utf-8", { fatal: true }).decode(raw);
    await verifyBundle(read, { height, hash }, { nowNs: BigInt(nowNs) });
    codes.push("proved");
  } catch (error) {
    codes.push(error.code ?? String(error));
  }
}
console.log(JSON.stringify(codes));
