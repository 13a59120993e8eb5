/** Which exports are language models: token ids in, and for each position one number for every token that may come next. */
import {
  ATTENTION_MASK,
  INPUT_IDS,
  isDriven,
  isPresent,
  type LanguageNames,
  LOGITS,
  languageNames,
  POSITION_IDS,
} from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Graph, Model, ValueInfo } from "./graph.ts";
import { integerTensor } from "./integers.ts";
import { DataType, isFloat, type Tensor } from "./tensor.ts";

const isInteger = (type: number): boolean => type === DataType.INT64 || type === DataType.INT32;

/** Names that are asked for, instead of `input_ids` and `logits`. */
export interface GivenNames {
  readonly inputName?: string | undefined;
  readonly outputName?: string | undefined;
  /** Time axes that are given; of token ids it is axis 1. */
  readonly timeAxis?: Readonly<Record<string, number>> | undefined;
}

/** Inputs beside the ids that Hugging Face's models have: 1 for a token and 0 for padding, and the place of each token. */
const BESIDE: readonly string[] = [ATTENTION_MASK, POSITION_IDS];

/** The only input beside those, where it is whole numbers [batch, time]. */
export function tokenInput({ inputs }: Graph): ValueInfo | undefined {
  const own = inputs.filter(({ name, dims }) => !BESIDE.includes(name) || dims?.length !== 2);
  const [ids, ...others] = own;
  return ids && others.length === 0 && isInteger(ids.type) && ids.dims?.length === 2 ? ids : undefined;
}

/** Inputs of an export that its converted model makes itself, by their names in what is analysed. */
export interface Driven {
  /** Made from the last columns of the mask that drivers give. */
  readonly mask: string | undefined;
  /** Counted. */
  readonly positions: string | undefined;
}

/**
 * None in a model that has no other input: what is called so is its stream.
 * @param renamed the export's names to those of what is analysed
 */
export function drivenInputs({ inputs }: Graph, renamed: ReadonlyMap<string, string>): Driven {
  const beside = new Set(BESIDE.map((name) => renamed.get(name) ?? name));
  if (inputs.every(({ name }) => beside.has(name))) return { mask: undefined, positions: undefined };
  const named = (name: string) => {
    const now = renamed.get(name) ?? name;
    return inputs.some((input) => input.name === now) ? now : undefined;
  };
  return { mask: named(ATTENTION_MASK), positions: named(POSITION_IDS) };
}

/** What such an input is fed where no position is padding. */
export function besideFeed(name: string, type: number, batch: number, time: number): Tensor | undefined {
  if (!BESIDE.includes(name)) return undefined;
  const at = (i: number) => (name === POSITION_IDS ? i % time : 1);
  return integerTensor(type, [batch, time], at);
}

/**
 * The names of an export's ids and logits: its only input (beside a mask and positions) is token ids; one output, or the one called `logits`, is floats
 * [batch, time, vocabulary]; and the vocabulary is not far fewer than the rows of the table that the ids look up, as the
 * features of an encoder are.
 * @returns undefined for any other model
 */
export function exportedLanguage(graph: Graph): LanguageNames | undefined {
  const names = shapedLikeLanguage(graph);
  if (!names) return undefined;
  const vocabulary = graph.outputs.find(({ name }) => name === names.logits)!.dims!.at(-1);
  const rows = rowsLookedUp(graph, names.ids);
  return typeof vocabulary === "number" && rows !== undefined && 2 * vocabulary < rows ? undefined : names;
}

/** The same by types and shapes alone. */
export function shapedLikeLanguage(graph: Graph): LanguageNames | undefined {
  const ids = tokenInput(graph);
  const output = graph.outputs.find(({ name }) => name === LOGITS) ?? graph.outputs[0];
  const isLogits = output && isFloat(output.type) && output.dims?.length === 3;
  if (!ids || !isLogits || (graph.outputs.length > 1 && output.name !== LOGITS)) return undefined;
  return { ids: ids.name, logits: output.name };
}

/** Rows of the table that ids look up at once; undefined where they look up none, or where it is computed. */
function rowsLookedUp({ nodes, initializers }: Graph, ids: string): number | undefined {
  const lookup = nodes.find(({ op, inputs }) => op === "Gather" && inputs[1] === ids && initializers.has(inputs[0]!));
  return lookup && initializers.get(lookup.inputs[0]!)!.dims[Number(lookup.attributes.axis ?? 0)];
}

/** Names of a converted model's ids and logits, where it is a language model. */
export function convertedLanguage({ graph: { inputs, outputs }, metadata }: Model): LanguageNames | undefined {
  const names = (values: readonly ValueInfo[]) => values.map(({ name }) => name);
  return languageNames(names(inputs), names(outputs), metadata);
}

/** Names of an export's ids and logits, and those that its converted model shall have. */
export interface LanguageRename {
  readonly from: LanguageNames;
  readonly to: LanguageNames;
}

/**
 * How a language model's ids and logits shall be called: as drivers know them, or as is asked for; who asks says that it is
 * one.
 * @returns undefined for any other model
 * @throws LongConvError usage where names are asked for and the model has not this shape, or where they mean something else
 */
export function namedLanguage({ graph, file }: Model, given: GivenNames): LanguageRename | undefined {
  const { inputName, outputName } = given;
  const asked = inputName !== undefined || outputName !== undefined;
  const from = asked ? shapedLikeLanguage(graph) : exportedLanguage(graph);
  const refuse = (reason: string, remedy: string) =>
    new LongConvError("usage", reason, { file: file || undefined }, remedy);
  if (!from && asked) {
    const reason = "`inputName` and `outputName` are for language models: token ids [batch, time] in, logits out";
    throw refuse(reason, "Leave them out.");
  }
  if (!from || (given.timeAxis?.[from.ids] ?? 1) !== 1) return undefined;
  const to = { ids: inputName ?? INPUT_IDS, logits: outputName ?? LOGITS };
  const bad = [to.ids, to.logits].find((name) => name === "" || /\s/.test(name) || isDriven(name) || isPresent(name));
  if (bad !== undefined)
    throw refuse(`'${bad}' is no name for ids or logits`, "It means something else, or has spaces.");
  if (to.ids === to.logits) throw refuse(`'${to.ids}' cannot be the name of both`, "Give two names.");
  return { from, to };
}
