/** What every request for text begins with: its model, its session where it has one, and its life. */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Rooms } from "./rooms.ts";
import type { Served } from "./served.ts";
import type { Taking } from "./sessions.ts";

/** A request that has begun. */
export interface Begun {
  readonly served: Served;
  /** It is nobody else's until the end. */
  readonly session: Taking | undefined;
  readonly signal: AbortSignal;
  /** To be called when the answer is complete, or given up. */
  end(): void;
}

/** @throws ApiError where there is no such model or session, or another request has the session */
export function begin(
  rooms: Rooms,
  body: { readonly model: string; readonly session?: string | undefined },
  request: FastifyRequest,
  reply: FastifyReply,
): Begun {
  const served = rooms.find(body.model);
  const session = body.session === undefined ? undefined : rooms.sessions.take(body.session, request.owner, served);
  const { signal, end } = rooms.openScope(reply);
  return {
    ...{ served, session, signal },
    end() {
      end();
      session?.release();
    },
  };
}
