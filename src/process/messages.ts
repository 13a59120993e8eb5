/** What a process of its own is told, and what it answers. */
import type { CarriedError } from "./carried-error.ts";

/** What is called: its name and arguments, as the program in the process knows them, and bytes beside them. */
export interface Call {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly bytes?: readonly Uint8Array[];
  /** Files that are read, for messages. */
  readonly files: readonly string[];
}

/** What the program sends: how far it is, and at the end a letter with one of the other two. */
export type Answer = { readonly value: unknown } | { readonly error: CarriedError };
export interface CallProgress {
  readonly progress: readonly unknown[];
}
