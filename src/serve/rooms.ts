/** What the routes are given. */
import type { FastifyReply } from "fastify";
import type { Choice, Made, Taken } from "./answer.ts";
import type { ServeLimits } from "./options.ts";
import type { Scope } from "./scope.ts";
import type { FindModel, Served } from "./served.ts";
import type { Sessions } from "./sessions.ts";

export interface Rooms {
  readonly limits: ServeLimits;
  readonly models: readonly Served[];
  readonly find: FindModel;
  readonly sessions: Sessions;
  openScope(reply: FastifyReply): Scope;
  answer(
    served: Served,
    choices: readonly Choice[],
    signal: AbortSignal,
    taken: Taken,
  ): AsyncGenerator<Made, undefined>;
}
