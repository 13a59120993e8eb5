/** Whatever an entry point of the library is given, it refuses by a name: every function that is exported, every argument in turn. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as converter from "../converter/index.ts";
import * as constrain from "../runtime/constrain.ts";
import * as node from "../runtime/node.ts";
import * as web from "../runtime/web.ts";
import * as bench from "../src/bench/index.ts";
import * as contract from "../src/index.ts";
import { scratch } from "./command.ts";
import { demoModel, zooModel } from "./testdata.ts";

const dir = scratch();
const { file } = zooModel("tnn-time-second");

/** Arguments that would do, by what the table calls them. */
const good: Record<string, unknown> = {};
beforeAll(async () => {
  const { model } = await converter.convert(file, { exact: true, horizon: 64 });
  await converter.writeModel(model, dir.at("model.onnx"));
  const loaded = await node.load(dir.at("model.onnx"));
  const state = await node.read(loaded, [[1, 2, 3]]);
  const json = JSON.parse(readFileSync(path.join(demoModel().folder, "tokenizer.json"), "utf8"));
  const tokenizer = node.createTokenizer(json);
  Object.assign(good, { model, loaded, state, json, tokenizer, cache: node.createPrefixCache(loaded) });
});
afterAll(async () => {
  await (good.loaded as node.Model).close();
  dir.remove();
});

const COMMON = { file, out: dir.at("out"), options: {}, list: [], backend: node.nodeBackend };

/** By function, what its arguments are; those that may be left out have a "?", anything may be what has a "*". */
const TAKES: Readonly<Record<string, string>> = {
  checkContract: "model",
  convert: "file options?",
  decodeModel: "bytes name?",
  deployGenai: "file out options?",
  deployTriton: "file out options?",
  encodeModel: "model",
  inspect: "file options?",
  lookBeside: "file",
  modelFileOf: "file",
  readIds: "file",
  readModel: "file",
  storeWeights: "model name",
  targetOf: "out",
  verify: "file file options?",
  writeModel: "model out options?",
  writeOutput: "model options options options?",
  bench: "file file options?",
  benchCsv: "list",
  benchMarkdown: "list",
  benchPicture: "report",
  benchRows: "report",
  beamSearch: "loaded options",
  concatStates: "loaded list",
  createBatch: "loaded options?",
  createPrefixCache: "loaded options?",
  createTokenizer: "json options?",
  describeClaim: "options",
  disposeState: "state",
  draftModel: "loaded options?",
  fingerprint: "loaded",
  gatherRows: "loaded list",
  generate: "loaded options",
  generateBatch: "loaded list options?",
  nBest: "loaded options",
  promptLookup: "options?",
  read: "loaded list options?",
  sliceState: "loaded state list",
  stateFromBytes: "loaded data",
  stateToBytes: "loaded state",
  step: "loaded options state options?",
  textStream: "tokenizer options?",
  zeroState: "loaded count?",
  load: "file options?",
  loadModel: "backend file options?",
  restorePrefixes: "cache out",
  savePrefixes: "cache out",
  jsonSchema: "tokenizer * options?",
  regex: "tokenizer name options?",
  isDriven: "name",
  isPresent: "name",
  languageNames: "list list map",
  leastClaim: "list",
  pairStates: "list list",
};
/** Names made of numbers, an error's place, and a cache of a page that may be named or not. */
const NOT_CHECKED = /^(LongConvError|placed|clearCache|(past|present)(KeyValues|Ssm|Conv))$/;

const functions = [converter, bench, node, web, constrain, contract].flatMap((entry) =>
  Object.entries(entry).filter(([name, value]) => typeof value === "function" && !NOT_CHECKED.test(name)),
) as [string, (...args: unknown[]) => unknown][];

test.each(functions)("%s", async (name, call) => {
  const kinds = TAKES[name]?.split(" ");
  expect(kinds, "it is in the table").toBeDefined();
  const right: unknown[] = kinds!.map((kind) => ({ ...COMMON, ...good, ...VALUES })[kind.replace("?", "")]);
  for (const [at, kind] of kinds!.entries()) {
    if (kind === "*") continue;
    const wrong = [null, 5, () => 1, Symbol("wrong"), ...(kind.endsWith("?") ? [] : [undefined])];
    for (const value of wrong.filter((each) => !(kind === "count?" && each === 5))) {
      const said = await outcome(() => call(...right.with(at, value)));
      expect(said, `argument ${at} is ${String(value)}`).toMatchObject({
        ...{ name: "LongConvError", code: "bad-input" },
        reason: OWN_WORDS.includes(kind) ? expect.any(String) : GOT,
      });
    }
  }
});

/** What is looked into is refused in words of its own. */
const OWN_WORDS = ["json", "data"];
const GOT = expect.stringMatching(/ must be .*, got (null|undefined|5|a function|Symbol\(wrong\))$/);

const VALUES = {
  ...{ name: "name", map: new Map(), count: 1, bytes: Uint8Array.of(1, 2, 3), "*": { type: "integer" } },
  report: { decode: {}, prompt: {}, memory: {} },
};

/** What it throws, rejects with, or throws once it is read. */
async function outcome(call: () => unknown): Promise<unknown> {
  try {
    const given = await call();
    if (given && typeof given === "object" && Symbol.asyncIterator in given)
      for await (const _ of given as AsyncIterable<unknown>) break;
    return given;
  } catch (error) {
    return error;
  }
}
