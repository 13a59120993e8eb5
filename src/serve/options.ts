/** What a server is told: its models, who may ask, and how much. */
import type { Model } from "../../runtime/node.ts";
import type { Render } from "../chat-template.ts";

export type { Message } from "../chat-template.ts";

/** A model's files, for pages that run it themselves. */
export interface ModelFiles {
  /** The model's own name among them. */
  readonly modelFile: string;
  /** Paths by names in the model's folder; nothing else of it is given. */
  readonly paths: ReadonlyMap<string, string>;
}

/** A model to be served. */
export interface ModelToServe {
  /** Its name in requests. */
  readonly id: string;
  readonly model: Model;
  /** Its template of conversations: their text up to where the answer begins. Without one it answers no chat. */
  readonly render?: Render | undefined;
  /** Given, weights and all, to whoever may ask, so that the start page can run the model itself. Default: to nobody. */
  readonly files?: ModelFiles | undefined;
}

/** What one request, and all of them together, may take. */
export interface ServeLimits {
  /** Bytes of a request's body. Default 1 MiB. */
  readonly bodyBytes: number;
  /** Tokens of an answer. Default 4096. */
  readonly tokens: number;
  /** Answers in one request: prompts × n. Default 16. */
  readonly choices: number;
  /** Sequences of a model in a step. Default 64. */
  readonly batch: number;
  /** Sequences of a model that wait for their turn. Default 256. */
  readonly queue: number;
  /** How long a request may take, in ms. Default 10 minutes. */
  readonly requestMs: number;
  /** Bytes of states that a model's prefix cache holds; 0 turns it off. Default 256 MiB. */
  readonly cacheBytes: number;
  /** Sessions of a key. Default 1000. */
  readonly sessions: number;
  /** Bytes of one session, with the states to which it can be taken back. Default 64 MiB. */
  readonly sessionBytes: number;
  /** Bytes of all sessions. Default 1 GiB. */
  readonly allSessionsBytes: number;
}

export const DEFAULT_LIMITS: ServeLimits = {
  bodyBytes: 2 ** 20,
  tokens: 4096,
  choices: 16,
  batch: 64,
  queue: 256,
  requestMs: 600_000,
  cacheBytes: 2 ** 28,
  sessions: 1000,
  sessionBytes: 2 ** 26,
  allSessionsBytes: 2 ** 30,
};

export interface ServeOptions {
  readonly models: readonly ModelToServe[];
  /** API keys. Default: none, and everybody who reaches the server may ask. */
  readonly keys?: readonly string[];
  /** Origins of pages that may ask. Default: none. */
  readonly origins?: readonly string[];
  readonly limits?: Partial<ServeLimits>;
  /** Folder of sessions that are to survive a restart. Default: they are in memory alone. */
  readonly sessionsFolder?: string | undefined;
  /** Folder of the prefix caches, read at the start and written when the server drains. Default: they are in memory alone. */
  readonly cacheFolder?: string | undefined;
  /** Takes what went wrong in the server itself. Default: the console. */
  readonly onFault?: (error: unknown) => void;
}
