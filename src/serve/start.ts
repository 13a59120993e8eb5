/** The start page: a file of its own (start.html), which writes through this server's own routes. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { FastifyInstance } from "fastify";

/** Browsers hash what their parser has made of it, whose lines end with \n alone. */
const PAGE = readFileSync(new URL("start.html", import.meta.url), "utf8").replaceAll("\r\n", "\n");

/** The one script or style of the page, as its policy names it. */
const hashOf = (tag: "script" | "style"): string => {
  const content = new RegExp(`<${tag}[^>]*>([^]*?)</${tag}>`).exec(PAGE)![1]!;
  return `'sha256-${createHash("sha256").update(content).digest("base64")}'`;
};

/**
 * Nothing but its own script, style and server: no other place, no frame around it, no form that is sent.
 * @param inPage it may start the worker that runs models
 */
const policy = (inPage: boolean): string =>
  [
    "default-src 'none'",
    `script-src ${hashOf("script")}`,
    `style-src ${hashOf("style")}`,
    "connect-src 'self'",
    ...(inPage ? ["worker-src 'self'"] : []),
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");

/** It says nothing of the models, and needs no key: it asks for one. */
export function registerStart(app: FastifyInstance, inPage: boolean): void {
  const rules = policy(inPage);
  app.get("/", async (_, reply) =>
    reply
      .type("text/html; charset=utf-8")
      .headers({
        "content-security-policy": rules,
        "cache-control": "no-cache",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
      })
      .send(PAGE),
  );
}
