/** `/v1/completions`: a prompt, or several, as texts or token ids, gone on from. */
import { randomUUID } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { type Choice, finishOf, type Made, type Taken, usageOf } from "./answer.ts";
import { begin } from "./begin.ts";
import { refuseHalves } from "./body.ts";
import { ApiError, invalid } from "./errors.ts";
import { sendEvents } from "./events.ts";
import { logprobOf, promptLogprobs, type TokenLogprob } from "./logprobs.ts";
import type { Rooms } from "./rooms.ts";
import { samplingOf } from "./sampling.ts";
import { COMPLETION, type CompletionRequest, given } from "./schemas.ts";
import type { Served } from "./served.ts";
import type { Taking } from "./sessions.ts";

const DEFAULT_TOKENS = 16;

/** What a choice has of its answer so far, or a chunk of it. */
interface Part {
  readonly index: number;
  readonly text: string;
  readonly tokens: readonly number[];
  readonly logprobs: readonly (TokenLogprob | undefined)[];
  readonly ids: readonly number[];
  readonly finish: "stop" | "length" | null;
}

export function registerCompletions(app: FastifyInstance, rooms: Rooms): void {
  app.post("/v1/completions", { schema: { body: COMPLETION } }, async (request, reply) => {
    const body = given<CompletionRequest>(request.body as object);
    const { served, session, signal, end } = begin(rooms, body, request, reply);
    try {
      const choices = choicesOf(body, served, rooms, session);
      const taken: Taken = { promptTokens: promptTokens(choices), cachedTokens: 0, completionTokens: 0 };
      const parts = partsOf(served, body, choices, rooms, { taken, signal, session });
      const shape = shaper(body, served);
      const wantsUsage = body.stream_options?.include_usage === true;
      if (body.stream) return await sendEvents(reply, chunks(parts, shape, wantsUsage ? taken : undefined), end);
      const whole = choices.map(({ index }): Part => ({ ...EMPTY, index }));
      for await (const part of parts) whole[part.index] = joined(whole[part.index]!, part);
      end();
      return { ...shape(whole), usage: usageOf(taken) };
    } catch (error) {
      end();
      throw error;
    }
  });
}

const EMPTY: Omit<Part, "index"> = { text: "", tokens: [], logprobs: [], ids: [], finish: null };

const joined = (a: Part, b: Part): Part => ({
  index: a.index,
  text: a.text + b.text,
  tokens: a.tokens.concat(b.tokens),
  logprobs: a.logprobs.concat(b.logprobs),
  ids: a.ids.concat(b.ids),
  finish: b.finish,
});

/** Each prompt is read once, however many texts go on from it. */
const promptTokens = (choices: readonly Choice[]): number =>
  [...new Set(choices.map(({ ids }) => ids))].reduce((sum, ids) => sum + ids.length, 0);

async function* chunks(
  parts: AsyncGenerator<Part, undefined>,
  shape: (parts: readonly Part[]) => object,
  taken: Taken | undefined,
): AsyncGenerator<unknown, undefined> {
  for await (const part of parts) yield shape([part]);
  if (taken) yield { ...shape([]), usage: usageOf(taken) };
}

/** The request's texts, in OpenAI's order: n of the first prompt, n of the second, … */
function choicesOf(
  body: CompletionRequest,
  served: Served,
  { limits }: Rooms,
  session: Taking | undefined,
): readonly Choice[] {
  const { n = 1, best_of = n, max_tokens = DEFAULT_TOKENS, echo, logprobs } = body;
  const { model } = served;
  if (!model.language) throw new ApiError(400, "no_language_model", `'${served.id}' takes no tokens`, "model");
  if (best_of !== n) throw invalid("best_of", "is not supported: ask for n texts and choose");
  if (max_tokens > limits.tokens) throw invalid("max_tokens", `must be at most ${limits.tokens}`);
  const prompts = promptsOf(body, served, session);
  if (prompts.length * n > limits.choices)
    throw invalid("n", `times the number of prompts is ${prompts.length * n}, and must be at most ${limits.choices}`);
  if (session && (prompts.length > 1 || n > 1 || echo))
    throw invalid("session", "goes on with one text: give one prompt, no n, and no echo");
  if (max_tokens === 0 && !echo && !session) throw invalid("max_tokens", "may be 0 only with echo or a session");
  return prompts.flatMap((ids, p) =>
    Array.from({ length: n }, (_, k) => ({
      index: p * n + k,
      ids,
      options: {
        ...samplingOf(body, model, k),
        maxNewTokens: max_tokens,
        ...(logprobs !== undefined && { returnLogits: true }),
        ...(session && { returnState: true, ...(session.state && { state: session.state }) }),
      },
    })),
  );
}

function promptsOf({ prompt = "" }: CompletionRequest, served: Served, session: Taking | undefined): number[][] {
  const { tokenizer } = served.model;
  const encode = (text: string): number[] => {
    if (!tokenizer) throw invalid("prompt", "must be token ids: the model has no tokenizer");
    refuseHalves("prompt", text);
    return text === "" ? [] : tokenizer.encode(text, { addSpecialTokens: !session?.state });
  };
  if (typeof prompt === "string") return [encode(prompt)];
  if (prompt.length === 0) throw invalid("prompt", "has no elements");
  if (prompt.every((each) => typeof each === "number")) return [[...(prompt as readonly number[])]];
  return prompt.map((each) => {
    if (typeof each === "string") return encode(each);
    if (Array.isArray(each)) return [...each];
    throw invalid("prompt", "must be a text, texts, token ids, or arrays of token ids");
  });
}

/** What is sent of each choice, as it comes: first its prompt where that is to be echoed. */
async function* partsOf(
  served: Served,
  body: CompletionRequest,
  choices: readonly Choice[],
  rooms: Rooms,
  { taken, signal, session }: { taken: Taken; signal: AbortSignal; session: Taking | undefined },
): AsyncGenerator<Part, undefined> {
  const { logprobs: top, echo, max_tokens: most = DEFAULT_TOKENS } = body;
  const made = most > 0 ? rooms.answer(served, choices, signal, taken) : nothing();
  const { tokenizer } = served.model;
  if (echo) {
    const known = new Map<readonly number[], readonly (TokenLogprob | undefined)[]>();
    for (const { index, ids } of choices) {
      if (top !== undefined && !known.has(ids)) known.set(ids, await promptLogprobs(served.model, ids, top, signal));
      const text = tokenizer?.decode(ids, { skipSpecialTokens: false }) ?? "";
      const finish = most === 0 ? ("length" as const) : null;
      yield { index, text, tokens: ids, logprobs: known.get(ids) ?? [], ids, finish };
    }
  }
  if (session && most === 0) await session.read(choices[0]!.ids, signal);
  if (session && most === 0) yield { ...EMPTY, index: 0, finish: "length" };
  const tokens: number[] = [];
  for await (const { index, piece } of made) {
    const { token, text, logits } = piece;
    if (session) tokens.push(token);
    if (session && piece.state) await session.move(choices[0]!.ids, tokens, piece.state);
    const logprobs = logits && top !== undefined ? [logprobOf(logits, token, top)] : [];
    yield { index, text, tokens: [token], logprobs, ids: [token], finish: finishOf(piece) };
  }
}

async function* nothing(): AsyncGenerator<Made, undefined> {}

/** Choices in OpenAI's form; of a chunk, one with what is new. */
function shaper(body: CompletionRequest, served: Served): (parts: readonly Part[]) => object {
  const id = `cmpl-${randomUUID()}`;
  const created = Math.floor(Date.now() / 1000);
  const { tokenizer } = served.model;
  const word = (token: number) => tokenizer?.decode([token], { skipSpecialTokens: false }) ?? String(token);
  const withIds = body.return_token_ids || !tokenizer;
  const offsets = new Map<number, number>();
  const logprobsOf = ({ index, tokens, logprobs }: Part) => {
    let at = offsets.get(index) ?? 0;
    const words = tokens.map(word);
    const text_offset = words.map((each) => {
      at += each.length;
      return at - each.length;
    });
    offsets.set(index, at);
    return {
      tokens: words,
      token_logprobs: logprobs.map((each) => each?.logprob ?? null),
      top_logprobs: logprobs.map((each) => each && Object.fromEntries(each.top.map((t) => [word(t.id), t.logprob]))),
      text_offset,
    };
  };
  return (parts) => ({
    id,
    object: "text_completion",
    created,
    model: served.id,
    choices: parts.map((part) => ({
      index: part.index,
      text: part.text,
      logprobs: body.logprobs === undefined ? null : logprobsOf(part),
      finish_reason: part.finish,
      ...(withIds && { token_ids: part.ids }),
    })),
    ...(body.session !== undefined && { session: body.session }),
  });
}
