/** Bodies are read whole: JSON in UTF-8, or bytes; what is neither is refused, never mended. */
import type { FastifyInstance } from "fastify";
import { ApiError, invalid } from "./errors.ts";

/** JSON whose bytes are no UTF-8, or with keys that reach into prototypes, is refused. */
export function registerBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (request, bytes, done) => {
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(bytes as Buffer);
    } catch (cause) {
      done(new ApiError(400, "invalid_utf8", "the body is not UTF-8", null, cause));
      return;
    }
    // fastify's types have the callback alone, and it may also be answered
    const named = (error: Error | null, value?: unknown) =>
      error ? done(new ApiError(400, "invalid_json", `the body is no JSON: ${error.message}`)) : done(null, value);
    void parse(request, text, named as typeof done);
  });
  app.addContentTypeParser("application/octet-stream", { parseAs: "buffer" }, (_, bytes, done) => done(null, bytes));
}

/** @throws ApiError for a text with half of a surrogate pair, which no UTF-8 can hold */
export function refuseHalves(param: string, text: string): void {
  if (/\p{Surrogate}/u.test(text)) throw invalid(param, "holds half of a surrogate pair");
}
