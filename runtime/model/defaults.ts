/** What a model's folder says of its generations. */
import type { SamplingOptions } from "../sampling/sampler.ts";

/** Settings that generation_config.json can give a default for. */
export interface GenerationDefaults extends SamplingOptions {
  /** Tokens to make at most. Default 256. */
  readonly maxNewTokens?: number;
  /** Token ids that end the generation. */
  readonly stopTokens?: readonly number[];
}

/**
 * The settings of a generation_config.json as transformers writes it, laid over config.json (whose eos_token_id counts
 * where only that is there).
 */
export function generationDefaults(config: Readonly<Record<string, unknown>>): GenerationDefaults {
  const number = (name: string) => (typeof config[name] === "number" ? (config[name] as number) : undefined);
  const stopTokens = [config.eos_token_id ?? []].flat().filter((id) => typeof id === "number");
  const sampling = {
    temperature: number("temperature") ?? 1,
    topK: number("top_k"),
    topP: number("top_p"),
    minP: number("min_p"),
  };
  return defined({
    stopTokens,
    maxNewTokens: number("max_new_tokens"),
    repetitionPenalty: number("repetition_penalty"),
    ...(config.do_sample === true ? sampling : {}),
  });
}

const defined = (options: Record<string, unknown>): GenerationDefaults =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
