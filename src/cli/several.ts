/** Several texts of one prompt: the most probable ones, or sampled ones. */
import { beamSearch, type GenerateOptions, type Model, nBest } from "../../runtime/node.ts";
import { LongConvError } from "../errors.ts";
import type { Terminal } from "./terminal.ts";

/** What the command was asked for. */
export interface SeveralOptions {
  readonly beams?: number;
  readonly count?: number;
  readonly interactive?: boolean;
  readonly saveState?: string;
  readonly lookup?: boolean;
  readonly draft?: string;
}

const SAMPLING = {
  temperature: "--temperature",
  topK: "--top-k",
  topP: "--top-p",
  minP: "--min-p",
  repetitionPenalty: "--repetition-penalty",
  seed: "--seed",
  stop: "--stop",
  regex: "--regex",
  jsonSchema: "--json-schema",
} as const;

/** @throws LongConvError usage for options that do not go together */
export function refuseSeveral(options: SeveralOptions & { readonly [name in keyof typeof SAMPLING]?: unknown }): void {
  const refuse = (reason: string, remedy?: string) => new LongConvError("usage", reason, {}, remedy);
  if (options.lookup && options.draft !== undefined) throw refuse("give only one of --lookup and --draft");
  if (options.beams === undefined && options.count === undefined) return;
  if (options.beams !== undefined && options.count !== undefined) throw refuse("give only one of --beams and --count");
  const name = options.beams === undefined ? "--count" : "--beams";
  for (const other of ["interactive", "lookup", "draft", "saveState"] as const)
    if (options[other] !== undefined)
      throw refuse(`${name} and --${other === "saveState" ? "save-state" : other} do not go together`);
  if (options.beams === undefined) return;
  for (const [other, shown] of Object.entries(SAMPLING) as [keyof typeof SAMPLING, string][])
    if (options[other] !== undefined)
      throw refuse(`--beams finds the most probable texts: ${shown} has no place there`);
}

/**
 * Writes the texts to stdout, the best first, each with a note of what it is on stderr.
 * @throws LongConvError what `beamSearch` and `nBest` throw
 */
export async function writeSeveral(
  terminal: Terminal,
  model: Model,
  name: string,
  { beams, count }: SeveralOptions,
  { echo, ...options }: GenerateOptions & { readonly echo: string },
): Promise<void> {
  const { signal } = terminal;
  const texts =
    beams === undefined
      ? await nBest(model, { ...options, signal, n: count! })
      : await beamSearch(model, { ...options, signal, beams });
  for (const { text, tokens, logProbability, finish } of texts) {
    terminal.stream(`${echo}${model.tokenizer ? text : tokens.join()}\n`);
    if (terminal.json) continue;
    const end = finish === undefined ? "" : `; ended by ${finish}`;
    terminal.note(`[${tokens.length} tokens, log probability ${logProbability.toFixed(2)}${end}]`);
  }
  terminal.result({
    model: name,
    texts: texts.map(({ text, tokens, logProbability, finish }) => ({
      ...(model.tokenizer && { text }),
      ...{ tokens, logProbability, finish },
    })),
  });
}
