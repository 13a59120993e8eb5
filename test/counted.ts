/** A model that counts the tokens that it reads. */
import type { Model } from "../runtime/model/model.ts";

export interface Counted {
  readonly model: Model;
  /** Tokens read and runs made since the last time. */
  take(): { readonly tokens: number; readonly runs: number };
}

export function counted(model: Model): Counted {
  let [tokens, runs] = [0, 0];
  const run = ((feeds: Record<string, { readonly dims: readonly number[] }>, ...rest: unknown[]) => {
    const [rows = 0, width = 0] = feeds[model.language!.ids]!.dims;
    tokens += rows * width;
    runs++;
    return (model.run as (...args: unknown[]) => unknown)(feeds, ...rest);
  }) as Model["run"];
  return {
    model: { ...model, run },
    take() {
      const taken = { tokens, runs };
      [tokens, runs] = [0, 0];
      return taken;
    },
  };
}
