/** Sessions: what a text has read so far, kept under an id for the key that made it. */
import { randomUUID } from "node:crypto";
import { read, type State, stateToBytes } from "../../runtime/node.ts";
import { ApiError, invalid } from "./errors.ts";
import type { ServeLimits } from "./options.ts";
import { after, bytesOf, NOTHING, onTheWay, type Place, placeOf, positionOf, takenBack, thinned } from "./place.ts";
import type { FindModel, Served } from "./served.ts";
import type { SessionFile, SessionFiles } from "./session-files.ts";

interface Session {
  readonly id: string;
  readonly owner: string;
  readonly served: Served;
  place: Place;
  busy: boolean;
  /** Called when it is not busy any more. */
  readonly waiting: (() => void)[];
}

/** What is shown of a session. */
export interface SessionInfo {
  readonly id: string;
  readonly object: "session";
  readonly model: string;
  /** Tokens read. */
  readonly tokens: number;
  /** Bytes of its states in memory. */
  readonly bytes: number;
}

/** A state on the way to a text, and the tokens that are missing. */
export interface Toward {
  readonly state: State | undefined;
  readonly rest: readonly number[];
}

/** A session that a request has to itself. */
export interface Taking {
  readonly state: State | undefined;
  /**
   * What is to be read after the nearest state on the way to a whole text, from where it will move. The session itself stays
   * where it is until it is moved.
   * @param anew all of it is to be read again
   */
  toward(ids: readonly number[], anew: boolean): Toward;
  /** Moves it behind a prompt and the text made after it. @param state has read all but the text's last token */
  move(prompt: readonly number[], made: readonly number[], state: State): Promise<void>;
  /** Moves it behind a prompt. */
  read(prompt: readonly number[], signal?: AbortSignal): Promise<void>;
  release(): void;
}

export interface Sessions {
  readonly size: { readonly count: number; readonly bytes: number };
  /** @param bytes of a state, to begin with */
  create(served: Served, owner: string, bytes?: Uint8Array): Promise<SessionInfo>;
  info(id: string, owner: string): SessionInfo;
  list(owner: string): SessionInfo[];
  /** @throws ApiError where there is none, it is another's or of another model, or another request has it */
  take(id: string, owner: string, served: Served): Taking;
  fork(id: string, owner: string): Promise<SessionInfo>;
  /** Takes back so many tokens. */
  rewind(id: string, owner: string, tokens: number, signal: AbortSignal): Promise<SessionInfo>;
  /** Once the request that has it is at its end: clients that leave it and delete it do so at the same time. */
  remove(id: string, owner: string): Promise<void>;
  export(id: string, owner: string): Promise<Uint8Array>;
}

/**
 * Sessions in memory, and in files where there are some.
 * @param found sessions of the files; those of models that are not served stay where they are
 * @param onLost told of a session whose state is not this model's
 */
export async function createSessions(
  limits: ServeLimits,
  find: FindModel,
  { files, found }: { files: SessionFiles | undefined; found: readonly SessionFile[] },
  onLost: (id: string, error: unknown) => void,
): Promise<Sessions> {
  const all = new Map<string, Session>();
  for (const file of found) {
    try {
      const served = find(file.model);
      const place = await placeOf(served, file.state, file.ids);
      all.set(file.id, { id: file.id, owner: file.owner, served, place, busy: false, waiting: [] });
    } catch (error) {
      onLost(file.id, error);
    }
  }
  const totalBytes = () => [...all.values()].reduce((sum, { place }) => sum + bytesOf(place), 0);

  const own = (id: string, owner: string): Session => {
    const session = all.get(id);
    // Another's session is not even admitted to be there.
    if (!session || session.owner !== owner)
      throw new ApiError(404, "session_not_found", `there is no session '${id.slice(0, 64)}'`, "session");
    return session;
  };
  const idle = (id: string, owner: string): Session => {
    const session = own(id, owner);
    if (session.busy) throw new ApiError(409, "session_busy", "another request goes on with this session", "session");
    return session;
  };
  const free = (session: Session): void => {
    session.busy = false;
    for (const go of session.waiting.splice(0)) go();
  };
  const refuseBytes = (place: Place, more: number): void => {
    if (bytesOf(place) > limits.sessionBytes)
      throw new ApiError(413, "session_too_large", `a session may take ${limits.sessionBytes} bytes`, "session");
    if (totalBytes() + more > limits.allSessionsBytes)
      throw new ApiError(429, "sessions_full", "all sessions together take what they may: delete some", "session");
  };
  /** First on the disk, then in memory: what is answered is safe. */
  const settle = async (session: Session, place: Place): Promise<void> => {
    const kept = thinned(place, limits.sessionBytes);
    refuseBytes(kept, bytesOf(kept) - bytesOf(session.place));
    await files?.write(await fileOf(session, kept));
    session.place = kept;
  };
  const add = async (served: Served, owner: string, place: Place): Promise<SessionInfo> => {
    const owned = [...all.values()].filter((each) => each.owner === owner).length;
    if (owned >= limits.sessions)
      throw new ApiError(
        429,
        "too_many_sessions",
        `a key may have ${limits.sessions} sessions: delete some`,
        "session",
      );
    const session: Session = { id: randomUUID(), owner, served, place: NOTHING, busy: true, waiting: [] };
    all.set(session.id, session);
    try {
      await settle(session, place);
    } catch (error) {
      all.delete(session.id);
      throw error;
    }
    free(session);
    return infoOf(session);
  };
  /** Work for which the session is nobody else's. */
  const alone = async <T>(session: Session, work: () => Promise<T>): Promise<T> => {
    session.busy = true;
    try {
      return await work();
    } finally {
      free(session);
    }
  };

  return {
    get size() {
      return { count: all.size, bytes: totalBytes() };
    },
    create: async (served, owner, bytes) => add(served, owner, await placeOf(served, bytes, bytes ? undefined : [])),
    info: (id, owner) => infoOf(own(id, owner)),
    list: (owner) => [...all.values()].filter((each) => each.owner === owner).map(infoOf),
    take(id, owner, served) {
      const session = idle(id, owner);
      if (session.served !== served) throw invalid("model", `of the session is '${session.served.id}'`);
      session.busy = true;
      let { place } = session;
      return {
        state: place.state,
        toward(ids, anew) {
          const way = onTheWay(place, ids, anew ? 0 : ids.length);
          place = way.place;
          return { state: place.state, rest: way.rest };
        },
        async move(prompt, made, state) {
          const end = await read(served.model, [made.slice(-1)], { state });
          await settle(session, after(place, prompt.concat(made), end));
        },
        async read(prompt, signal) {
          if (prompt.length === 0) return;
          const end = await read(served.model, [[...prompt]], { state: place.state, signal });
          await settle(session, after(place, prompt, end));
        },
        release: () => free(session),
      };
    },
    fork(id, owner) {
      const { served, place } = idle(id, owner);
      return add(served, owner, place);
    },
    async rewind(id, owner, tokens, signal) {
      const session = idle(id, owner);
      return alone(session, async () => {
        await settle(session, await takenBack(session.served, session.place, tokens, signal));
        return infoOf(session);
      });
    },
    async remove(id, owner) {
      const { busy, waiting } = own(id, owner);
      if (busy) await new Promise<void>((resolve) => waiting.push(resolve));
      const session = idle(id, owner);
      await alone(session, async () => files?.remove(id));
      all.delete(id);
    },
    async export(id, owner) {
      const { served, place } = idle(id, owner);
      if (!place.state) throw new ApiError(409, "session_empty", "the session has read nothing yet", "session");
      return stateToBytes(served.model, place.state);
    },
  };
}

const infoOf = ({ id, served, place }: Session): SessionInfo => ({
  ...{ id, object: "session", model: served.id },
  ...{ tokens: positionOf(place.state), bytes: bytesOf(place) },
});

const fileOf = async ({ id, owner, served }: Session, { ids, state }: Place): Promise<SessionFile> => ({
  ...{ id, owner, model: served.id, ids },
  state: state && (await stateToBytes(served.model, state)),
});
