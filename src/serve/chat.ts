/** `/v1/chat/completions`: a conversation by the model's own template. */
import { randomUUID } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { type Choice, finishOf, type Made, type Taken, usageOf } from "./answer.ts";
import { refuseHalves } from "./body.ts";
import { ApiError, invalid } from "./errors.ts";
import { sendEvents } from "./events.ts";
import { logprobOf } from "./logprobs.ts";
import type { Message } from "./options.ts";
import type { Rooms } from "./rooms.ts";
import { samplingOf } from "./sampling.ts";
import { CHAT, type ChatRequest, given } from "./schemas.ts";
import type { Served } from "./served.ts";

const DEFAULT_TOKENS = 256;

export function registerChat(app: FastifyInstance, rooms: Rooms): void {
  app.post("/v1/chat/completions", { schema: { body: CHAT } }, async (request, reply) => {
    const body = given<ChatRequest>(request.body as object);
    const served = rooms.find(body.model);
    const scope = rooms.openScope(reply);
    try {
      const choices = choicesOf(body, served, rooms);
      const taken: Taken = { promptTokens: choices[0]!.ids.length, cachedTokens: 0, completionTokens: 0 };
      const made = rooms.answer(served, choices, scope.signal, taken);
      const head = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: served.id };
      if (body.stream) {
        const events = chunks(made, body, served, choices, { ...head, object: "chat.completion.chunk" }, taken);
        return await sendEvents(reply, events, scope.end);
      }
      const whole = choices.map(() => ({ text: "", finish: null as string | null, logprobs: [] as object[] }));
      for await (const { index, piece } of made) {
        const choice = whole[index]!;
        choice.text += piece.text;
        choice.finish = finishOf(piece);
        choice.logprobs.push(...logprobsOf({ index, piece }, body, served));
      }
      scope.end();
      return {
        ...head,
        object: "chat.completion",
        choices: whole.map(({ text, finish, logprobs }, index) => ({
          index,
          message: { role: "assistant", content: text, refusal: null },
          logprobs: body.logprobs ? { content: logprobs, refusal: null } : null,
          finish_reason: finish,
        })),
        usage: usageOf(taken),
      };
    } catch (error) {
      scope.end();
      throw error;
    }
  });
}

async function* chunks(
  made: AsyncGenerator<Made, undefined>,
  body: ChatRequest,
  served: Served,
  choices: readonly Choice[],
  head: object,
  taken: Taken,
): AsyncGenerator<unknown, undefined> {
  const begun = new Set<number>();
  for await (const { index, piece } of made) {
    if (!begun.has(index)) yield { ...head, choices: [{ index, delta: { role: "assistant", content: "" } }] };
    begun.add(index);
    const logprobs = body.logprobs ? { content: logprobsOf({ index, piece }, body, served), refusal: null } : null;
    yield { ...head, choices: [{ index, delta: { content: piece.text }, logprobs, finish_reason: finishOf(piece) }] };
  }
  if (choices.length > 0 && body.stream_options?.include_usage) yield { ...head, choices: [], usage: usageOf(taken) };
}

function choicesOf(body: ChatRequest, served: Served, { limits }: Rooms): readonly Choice[] {
  const { model, render, id } = served;
  const { tokenizer } = model;
  if (!model.language || !tokenizer || !render) {
    const message = `'${id}' has no chat template: send its text to /v1/completions`;
    throw new ApiError(400, "no_chat_template", message, "model");
  }
  if (body.session !== undefined)
    throw invalid(
      "session",
      "is of /v1/completions: here the whole conversation is sent, and what was read before is cached",
    );
  const { n = 1, logprobs, top_logprobs } = body;
  if (top_logprobs !== undefined && !logprobs) throw invalid("top_logprobs", "needs logprobs: true");
  if (n > limits.choices) throw invalid("n", `must be at most ${limits.choices}`);
  const wanted = body.max_completion_tokens ?? body.max_tokens;
  const name = body.max_completion_tokens === undefined ? "max_tokens" : "max_completion_tokens";
  if (wanted !== undefined && !(wanted >= 1 && wanted <= limits.tokens))
    throw invalid(name, `must be from 1 to ${limits.tokens}`);
  const most = wanted ?? Math.min(model.defaults.maxNewTokens ?? DEFAULT_TOKENS, limits.tokens);
  const messages = body.messages.map(({ role, content }): Message => {
    const text = typeof content === "string" ? content : content.map((part) => part.text).join("");
    refuseHalves("messages", text);
    return { role: role === "developer" ? "system" : role, content: text };
  });
  const ids = tokenizer.encode(render(messages), { addSpecialTokens: false });
  return Array.from({ length: n }, (_, index) => ({
    index,
    ids,
    options: { ...samplingOf(body, model, index), maxNewTokens: most, ...(logprobs && { returnLogits: true }) },
  }));
}

/** The piece's token in OpenAI's form; nothing where it is not asked for. */
function logprobsOf({ piece }: Made, { top_logprobs = 0 }: ChatRequest, { model }: Served): object[] {
  if (!piece.logits) return [];
  const { id, logprob, top } = logprobOf(piece.logits, piece.token, top_logprobs);
  const shown = (each: { readonly id: number; readonly logprob: number }) => {
    const token = model.tokenizer!.decode([each.id], { skipSpecialTokens: false });
    // Half a character has no bytes of its own that a decoder gives.
    const bytes = token.includes("\uFFFD") ? null : [...Buffer.from(token)];
    return { token, logprob: each.logprob, bytes };
  };
  return [{ ...shown({ id, logprob }), top_logprobs: top.map(shown) }];
}
