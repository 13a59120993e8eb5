/** What is counted and timed, in Prometheus' form. */
import type { FastifyInstance } from "fastify";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Served } from "./served.ts";

export interface Metrics {
  readonly registry: Registry;
  /** Of a model's prompt: its tokens, and those that were read before. */
  prompt(model: string, tokens: number, cached: number): void;
  /** A token of a model, so many seconds after the one before it, or after the request where it is the first. */
  token(model: string, seconds: number, isFirst: boolean): void;
}

const SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60];

/** @param sessions how many there are, and their bytes */
export function createMetrics(
  models: readonly Served[],
  sessions: () => { readonly count: number; readonly bytes: number },
): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = (name: string, help: string) =>
    new Counter({ name: `longconv_${name}`, help, labelNames: ["model"], registers });
  const histogram = (name: string, help: string) =>
    new Histogram({ name: `longconv_${name}`, help, labelNames: ["model"], buckets: SECONDS, registers });
  const prompts = counter("prompt_tokens_total", "Tokens of prompts");
  const cached = counter("cached_prompt_tokens_total", "Tokens of prompts that were read before");
  const made = counter("generated_tokens_total", "Tokens made");
  const first = histogram("time_to_first_token_seconds", "From a request to its first token");
  const between = histogram("time_between_tokens_seconds", "From a token to the next");
  const sequences = (name: "running" | "waiting", help: string) =>
    new Gauge({
      name: `longconv_sequences_${name}`,
      help,
      labelNames: ["model"],
      registers,
      collect() {
        for (const { id, batch } of models) if (batch) this.set({ model: id }, batch.size[name]);
      },
    });
  sequences("running", "Sequences in a model's batch");
  sequences("waiting", "Sequences that wait: for their prompt to be read, or for their client");
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name: `longconv_${name}`,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  gauge("sessions", "Sessions that are kept", () => sessions().count);
  gauge("session_bytes", "Bytes of their states in memory", () => sessions().bytes);
  gauge("resident_bytes", "Resident memory of the process", () => process.memoryUsage.rss());
  return {
    registry,
    prompt(model, tokens, fromCache) {
      prompts.inc({ model }, tokens);
      cached.inc({ model }, fromCache);
    },
    token(model, seconds, isFirst) {
      made.inc({ model });
      (isFirst ? first : between).observe({ model }, seconds);
    },
  };
}

/** `/metrics`, and a count of answers by route and status. */
export function registerMetrics(app: FastifyInstance, { registry }: Metrics): void {
  const answers = new Counter({
    name: "longconv_http_requests_total",
    help: "Answered requests",
    labelNames: ["route", "status"],
    registers: [registry],
  });
  app.addHook("onResponse", async (request, reply) => {
    answers.inc({ route: request.routeOptions.url ?? "none", status: reply.statusCode });
  });
  app.get("/metrics", async (_, reply) => reply.type(registry.contentType).send(await registry.metrics()));
}
