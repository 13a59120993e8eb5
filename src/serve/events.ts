/** Server-sent events as OpenAI's clients read them. */
import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";
import { asApiError, bodyOf } from "./errors.ts";

const event = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;

/**
 * Streams the values. What goes wrong before the first is thrown, and has a status of its own; what goes wrong later is
 * the last event. Whoever reads slowly is waited for.
 * @param onEnd called once, however it ends
 */
export async function sendEvents(
  reply: FastifyReply,
  values: AsyncGenerator<unknown, undefined>,
  onEnd: () => void,
): Promise<FastifyReply> {
  let first: IteratorResult<unknown, undefined>;
  try {
    first = await values.next();
  } catch (error) {
    onEnd();
    throw error;
  }
  const lines = async function* (): AsyncGenerator<string> {
    try {
      for (let each = first; !each.done; each = await values.next()) yield event(each.value);
      yield "data: [DONE]\n\n";
    } catch (error) {
      yield event(bodyOf(asApiError(error)));
    } finally {
      await values.return(undefined);
      onEnd();
    }
  };
  return reply
    .type("text/event-stream; charset=utf-8")
    .header("cache-control", "no-cache")
    .header("x-accel-buffering", "no")
    .send(Readable.from(lines(), { highWaterMark: 4 }));
}
