/** `/v1/chat/completions`: a conversation by the model's own template. */
import { randomUUID } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { type Choice, finishOf, type Made, type Taken, usageOf } from "./answer.ts";
import { begin } from "./begin.ts";
import { refuseHalves } from "./body.ts";
import { ApiError, invalid } from "./errors.ts";
import { sendEvents } from "./events.ts";
import { logprobOf } from "./logprobs.ts";
import type { Message } from "./options.ts";
import type { Rooms } from "./rooms.ts";
import { samplingOf } from "./sampling.ts";
import { CHAT, type ChatRequest, given } from "./schemas.ts";
import type { Served } from "./served.ts";
import type { Taking, Toward } from "./sessions.ts";

const DEFAULT_TOKENS = 256;

export function registerChat(app: FastifyInstance, rooms: Rooms): void {
  app.post("/v1/chat/completions", { schema: { body: CHAT } }, async (request, reply) => {
    const body = given<ChatRequest>(request.body as object);
    const { served, session, signal, end } = begin(rooms, body, request, reply);
    try {
      const ids = conversationOf(body, served);
      // This penalty is of all that came before, which a state does not say.
      const penalty = body.repetition_penalty ?? served.model.defaults.repetitionPenalty ?? 1;
      const way = session?.toward(ids, penalty !== 1);
      const choices = choicesOf(body, served, rooms, way ?? { state: undefined, rest: ids });
      const cachedTokens = ids.length - choices[0]!.ids.length;
      const taken: Taken = { promptTokens: ids.length, cachedTokens, completionTokens: 0 };
      const answered = rooms.answer(served, choices, signal, taken);
      const made = session ? moving(answered, session, choices[0]!.ids) : answered;
      const head = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: served.id };
      if (body.stream) {
        const events = chunks(made, body, served, choices, { ...head, object: "chat.completion.chunk" }, taken);
        return await sendEvents(reply, events, end);
      }
      const whole = choices.map(() => ({ text: "", finish: null as string | null, logprobs: [] as object[] }));
      for await (const { index, piece } of made) {
        const choice = whole[index]!;
        choice.text += piece.text;
        choice.finish = finishOf(piece);
        choice.logprobs.push(...logprobsOf({ index, piece }, body, served));
      }
      end();
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
      end();
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

/** Moves the session before the last piece is given on. */
async function* moving(
  made: AsyncGenerator<Made, undefined>,
  session: Taking,
  prompt: readonly number[],
): AsyncGenerator<Made, undefined> {
  const tokens: number[] = [];
  for await (const each of made) {
    tokens.push(each.piece.token);
    if (each.piece.state) await session.move(prompt, tokens, each.piece.state);
    yield each;
  }
}

/** The whole conversation's tokens, up to where the answer begins. */
function conversationOf(body: ChatRequest, { model: { language, tokenizer }, render, id }: Served): readonly number[] {
  if (!language || !tokenizer || !render) {
    const message = `'${id}' has no chat template: send its text to /v1/completions`;
    throw new ApiError(400, "no_chat_template", message, "model");
  }
  const messages = body.messages.map(({ role, content }): Message => {
    const text = typeof content === "string" ? content : content.map((part) => part.text).join("");
    refuseHalves("messages", text);
    return { role: role === "developer" ? "system" : role, content: text };
  });
  return tokenizer.encode(render(messages), { addSpecialTokens: false });
}

/** @param way to where the answer begins */
function choicesOf(body: ChatRequest, { model }: Served, { limits }: Rooms, way: Toward): readonly Choice[] {
  const { n = 1, logprobs, top_logprobs } = body;
  if (top_logprobs !== undefined && !logprobs) throw invalid("top_logprobs", "needs logprobs: true");
  if (n > 1 && body.session !== undefined) throw invalid("session", "goes on with one text: give no n");
  if (n > limits.choices) throw invalid("n", `must be at most ${limits.choices}`);
  const wanted = body.max_completion_tokens ?? body.max_tokens;
  const name = body.max_completion_tokens === undefined ? "max_tokens" : "max_completion_tokens";
  if (wanted !== undefined && !(wanted >= 1 && wanted <= limits.tokens))
    throw invalid(name, `must be from 1 to ${limits.tokens}`);
  const most = wanted ?? Math.min(model.defaults.maxNewTokens ?? DEFAULT_TOKENS, limits.tokens);
  return Array.from({ length: n }, (_, index) => ({
    index,
    ids: way.rest,
    options: {
      ...samplingOf(body, model, index),
      maxNewTokens: most,
      ...(logprobs && { returnLogits: true }),
      ...(body.session !== undefined && { returnState: true, ...(way.state && { state: way.state }) }),
    },
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
