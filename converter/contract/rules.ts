/** The rules of docs/state-contract.md: what each finds in a model. */
import {
  ATTENTION_MASK,
  CONTRACT_VERSION,
  CONTRACT_VERSION_GROWING,
  INPUT_IDS,
  KNOWN_VERSIONS,
  type LayerMetadata,
  METADATA,
  NUM_LOGITS_TO_KEEP,
} from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { type Reach, reachOf } from "../../src/reach.ts";
import type { Model, ValueInfo } from "../graph/graph.ts";
import { convertedLanguage } from "../graph/language.ts";
import { isLengthCache, PAST_LENGTH, PRESENT_LENGTH } from "../graph/length-cache.ts";
import { DataType } from "../graph/tensor.ts";
import { aliasingHazard } from "./aliasing.ts";

/** The rules, in the order of the document. */
export const RULES = ["pairs", "types", "shapes", "zero-start", "aliasing", "inputs", "version", "claim"] as const;
export type Rule = (typeof RULES)[number];

/** What a rule found. */
export interface Finding {
  readonly rule: Rule;
  /** A remark breaks nothing. */
  readonly breaks: boolean;
  readonly tensor?: string | undefined;
  readonly reason: string;
}

/** A state's input and output. */
export interface Pair {
  readonly past: ValueInfo;
  readonly present: ValueInfo;
}

const broken = (rule: Rule, tensor: string | undefined, reason: string): Finding => ({
  rule,
  breaks: true,
  tensor,
  reason,
});
const remark = (rule: Rule, tensor: string | undefined, reason: string): Finding => ({
  rule,
  breaks: false,
  tensor,
  reason,
});

export function pairing({ graph }: Model, pairs: readonly Pair[]): Finding[] {
  const paired = new Set(pairs.flatMap(({ past, present }) => [past.name, present.name]));
  const single = (infos: readonly ValueInfo[], prefix: RegExp, missing: string) =>
    infos
      .filter(({ name }) => prefix.test(name) && !paired.has(name))
      .map(({ name }) => broken("pairs", name, `has no ${missing}`));
  const none = pairs.every(({ past }) => isLengthCache(past))
    ? [broken("pairs", undefined, "no input past_* with an output present_*: the model carries no state")]
    : [];
  const foreign = pairs.filter(
    ({ past }) => !isLengthCache(past) && !/^past_((ssm|conv)\.\d+|key_values\.\d+\.\w+)$/.test(past.name),
  );
  const unusual = foreign.length
    ? [
        remark(
          "pairs",
          foreign[0]!.past.name,
          `${foreign.length > 1 ? `and ${foreign.length - 1} more: ` : ""}names that stock transformers.js does not know; it knows past_ssm.0, past_conv.0, …`,
        ),
      ]
    : [];
  const length = pairs.some(({ past }) => isLengthCache(past))
    ? [remark("pairs", PAST_LENGTH, `a length cache without elements, paired with ${PRESENT_LENGTH}; no state`)]
    : [];
  return [
    ...none,
    ...single(graph.inputs, /^past_/, "output present_*"),
    ...single(graph.outputs, /^present_/, "input past_*"),
    ...unusual,
    ...length,
  ];
}

export function types({ past, present }: Pair): Finding[] {
  if (past.type !== present.type)
    return [broken("types", past.name, `its type ${past.type} differs from ${present.type} of '${present.name}'`)];
  return past.type === DataType.FLOAT ? [] : [broken("types", past.name, `has type ${past.type}, not float32 (1)`)];
}

export function shapes({ past, present }: Pair): Finding[] {
  const findings: Finding[] = [];
  if (!past.dims || past.dims.length < 2)
    return [broken("shapes", past.name, "must be declared with a batch axis first and one more at least")];
  const [batch, ...rest] = past.dims;
  if (batch === undefined) findings.push(broken("shapes", past.name, "its first dimension is not declared"));
  else if (typeof batch === "number")
    findings.push(remark("shapes", past.name, `takes batches of ${batch} only: the batch dimension is fixed`));
  else if (batch !== "batch_size")
    findings.push(
      remark("shapes", past.name, `its batch dimension is called '${batch}'; transformers.js knows 'batch_size'`),
    );
  // rows of keys and values grow, along one axis
  const growing = rest.flatMap((dim, i) => (typeof dim === "string" ? [i] : []));
  const grows = /^past_key_values\./.test(past.name) && growing.length === 1 ? growing[0] : undefined;
  for (const [i, dim] of rest.entries()) {
    if ((typeof dim === "number" && dim > 0) || i === grows) continue;
    findings.push(
      broken(
        "shapes",
        past.name,
        `dimension ${i + 1} is ${dim === undefined ? "not declared" : `'${dim}'`}; a state does not grow, so it must be a positive number`,
      ),
    );
  }
  const declared = present.dims;
  if (!declared) findings.push(remark("shapes", present.name, "its shape is not declared"));
  else if (declared.length !== past.dims.length || rest.some((dim, i) => i !== grows && declared[i + 1] !== dim))
    findings.push(broken("shapes", present.name, `shape [${declared}] differs from [${past.dims}] of '${past.name}'`));
  else if (grows !== undefined && typeof declared[grows + 1] === "number")
    findings.push(
      broken(
        "shapes",
        present.name,
        `dimension ${grows + 1} is ${declared[grows + 1]}, and that of '${past.name}' grows`,
      ),
    );
  return findings;
}

/** A state with a default value in the file would start from it in runtimes that leave inputs out. */
export const zeroStart = ({ graph }: Model): Finding[] =>
  [...graph.initializers.keys()]
    .filter((name) => /^past_(ssm|conv|key_values)\./.test(name))
    .map((name) => broken("zero-start", name, "has a value in the file; states are inputs, and start at zero"));

export function aliasing(model: Model, { past, present }: Pair): Finding[] {
  // a state that grows has another buffer after each step
  if (past.dims?.slice(1).some((dim) => typeof dim === "string")) return [];
  const hazard = aliasingHazard(model, past.name, present.name);
  return hazard ? [broken("aliasing", past.name, hazard)] : [];
}

export function otherInputs(model: Model): Finding[] {
  const { graph } = model;
  const findings: Finding[] = [];
  const expect = (name: string, rank: number, allowed: readonly number[]) => {
    const info = graph.inputs.find((input) => input.name === name);
    if (!info) return;
    if (!allowed.includes(info.type)) findings.push(broken("inputs", name, `has type ${info.type}, not int64 (7)`));
    if (info.dims && info.dims.length !== rank)
      findings.push(broken("inputs", name, `has rank ${info.dims.length}, not ${rank}`));
  };
  expect(convertedLanguage(model)?.ids ?? INPUT_IDS, 2, [DataType.INT64, DataType.INT32]);
  expect(ATTENTION_MASK, 2, [DataType.INT64]);
  expect(NUM_LOGITS_TO_KEEP, 0, [DataType.INT64]);
  return findings;
}

export function version({ metadata }: Model, states: readonly Pair[]): Finding[] {
  const said = metadata.get(METADATA.version);
  if (said === undefined)
    return [remark("version", undefined, `no metadata ${METADATA.version}: converted elsewhere, it runs all the same`)];
  if (!KNOWN_VERSIONS.includes(said)) {
    const known = KNOWN_VERSIONS.join(" and ");
    return [broken("version", undefined, `${METADATA.version} is '${said}', this is version ${known}`)];
  }
  const grows = states.filter(({ past }) => past.dims?.slice(1).some((dim) => typeof dim === "string"));
  if (grows.length > 0 && said === CONTRACT_VERSION)
    return [
      broken(
        "version",
        grows[0]!.past.name,
        `grows, and ${METADATA.version} is '${said}': it is '${CONTRACT_VERSION_GROWING}' of such a model`,
      ),
    ];
  const layers = metadata.get(METADATA.layers);
  if (layers === undefined) return [remark("version", undefined, `no metadata ${METADATA.layers}`)];
  const caches = layersOf(layers).filter(({ state }) => state === "cache").length;
  const carried = states.filter(({ past }) => past.name.startsWith("past_key_values.")).length;
  if (caches !== carried)
    return [
      broken(
        "version",
        undefined,
        `${METADATA.layers} has ${caches} states of keys and values, the inputs have ${carried}`,
      ),
    ];
  return layersOf(layers).flatMap((layer) => {
    // those are counted above: keys and values are two, under one index
    if (layer.order === 0 || layer.state === "cache") return [];
    const name = `past_${layer.state}.${layer.index}`;
    const dims = states.find(({ past }) => past.name === name)?.past.dims;
    if (!dims) return [broken("version", name, "is in the metadata, but not among the inputs")];
    const size = layer.dims ?? [layer.order, layer.channels];
    return dims.length === size.length + 1 && dims.slice(1).every((dim, i) => dim === size[i])
      ? []
      : [broken("version", name, `shape [${dims}] differs from the metadata's [batch_size,${size}]`)];
  });
}

/** The claim and the positions, or why they cannot be read. */
export function reachIn({ metadata }: Model): Reach & { readonly findings: readonly Finding[] } {
  const none = { claim: undefined, positions: undefined };
  const said = metadata.get(METADATA.version);
  // what another version claims in these words is not known
  if (said !== undefined && !KNOWN_VERSIONS.includes(said)) return { ...none, findings: [] };
  try {
    const reach = reachOf(metadata);
    const silent = said !== undefined && !reach.claim;
    return {
      ...reach,
      findings: silent
        ? [remark("claim", undefined, `no metadata ${METADATA.claim}: nothing says how far it is right`)]
        : [],
    };
  } catch (error) {
    if (!(error instanceof LongConvError)) throw error;
    return { ...none, findings: [broken("claim", undefined, error.reason)] };
  }
}

function layersOf(json: string): LayerMetadata[] {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}
