/** From a request's settings to the runtime's. */
import type { GenerateOptions, LogitsProcessor, Model } from "../../runtime/node.ts";
import { invalid } from "./errors.ts";
import { constraintOf } from "./patterns.ts";
import type { Request } from "./schemas.ts";

/**
 * How tokens are chosen. As with OpenAI, temperature is 1 where neither the request nor the model's generation_config.json
 * says another.
 * @param choice of the request, counted for each prompt: each draws by a seed of its own
 */
export function samplingOf(request: Request, model: Model, choice: number): GenerateOptions {
  const { top_p, top_k, min_p, repetition_penalty, seed, stop, stop_token_ids } = request;
  return defined({
    temperature: request.temperature ?? model.defaults.temperature ?? 1,
    topP: top_p,
    topK: top_k,
    minP: min_p,
    repetitionPenalty: repetition_penalty,
    seed: seed === undefined ? undefined : Math.min(seed + choice, Number.MAX_SAFE_INTEGER),
    stop,
    stopTokens: stop_token_ids && [...(model.defaults.stopTokens ?? []), ...stop_token_ids],
    processors: processorsOf(request, model),
    constraint: constraintOf(request, model),
  });
}

function processorsOf(request: Request, model: Model): LogitsProcessor[] {
  const { logit_bias = {}, presence_penalty = 0, frequency_penalty = 0 } = request;
  const { vocabulary } = model.language!;
  const bias = Object.entries(logit_bias).map(([name, value]) => {
    const id = Number(name);
    if (!/^\d+$/.test(name) || id >= vocabulary)
      throw invalid("logit_bias", `has the key '${name}', which is no token id below ${vocabulary}`);
    return [id, value] as const;
  });
  const all: LogitsProcessor[] = [];
  if (presence_penalty !== 0 || frequency_penalty !== 0) all.push(penalties(presence_penalty, frequency_penalty));
  if (bias.length > 0)
    all.push((logits) => {
      for (const [id, value] of bias) logits[id]! += value;
    });
  return all;
}

/**
 * Takes from the logit of each token that was made `frequency` for each time and `presence` once, as OpenAI defines it:
 * `mu[j] -> mu[j] - c[j] * alpha_frequency - float(c[j] > 0) * alpha_presence`. For one sequence.
 */
export function penalties(presence: number, frequency: number): LogitsProcessor {
  const counts = new Map<number, number>();
  let counted = 0;
  return (logits, { ids, generated }) => {
    for (; counted < generated; counted++) {
      const id = ids[ids.length - generated + counted]!;
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    for (const [id, count] of counts) logits[id]! -= count * frequency + presence;
  };
}

const defined = (options: Record<string, unknown>): GenerateOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
