/** Who asks: API keys, compared in constant time. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { ApiError } from "./errors.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** SHA-256 of the key that asks, hexadecimal; empty where no keys are set. */
    owner: string;
  }
}

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Refuses requests without one of the keys; of routes that are open to all, `isOpen` says so. */
export function registerKeys(
  app: FastifyInstance,
  keys: readonly string[],
  isOpen: (request: FastifyRequest) => boolean,
): void {
  const known = keys.map(sha256);
  app.decorateRequest("owner", "");
  if (known.length === 0) return;
  app.addHook("onRequest", async (request) => {
    if (isOpen(request)) return;
    const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
    if (given === undefined)
      throw new ApiError(401, "missing_api_key", "an API key is needed: Authorization: Bearer KEY");
    const digest = sha256(given);
    // All of them, so that the time does not say which one is nearest.
    let right = false;
    for (const each of known) right = timingSafeEqual(each, digest) || right;
    if (!right) throw new ApiError(401, "invalid_api_key", "the API key is not known");
    request.owner = digest.toString("hex");
  });
}
