/** How long a request lives: until its client leaves, its time is up, or the server ends. */
import type { FastifyReply } from "fastify";
import { ApiError } from "./errors.ts";

/** A request's life. */
export interface Scope {
  /** Its reason is an ApiError. */
  readonly signal: AbortSignal;
  /** To be called when the answer is complete, or given up: aborts what is left of it. */
  end(): void;
}

/** @param ending aborted when the server ends what has not come to its end */
export function openScope(reply: FastifyReply, ms: number, ending: AbortSignal): Scope {
  const controller = new AbortController();
  const abort = (error: ApiError) => controller.abort(error);
  const left = () => abort(new ApiError(499, "client_closed", "the client has left"));
  const ended = () => abort(new ApiError(503, "shutting_down", "the server is shutting down"));
  const late = () => abort(new ApiError(504, "time_exceeded", `the request took more than ${ms / 1000} s`));
  const timer = setTimeout(late, ms);
  reply.raw.once("close", left);
  ending.addEventListener("abort", ended);
  if (ending.aborted) ended();
  return {
    signal: controller.signal,
    end() {
      clearTimeout(timer);
      reply.raw.off("close", left);
      ending.removeEventListener("abort", ended);
      left();
    },
  };
}
