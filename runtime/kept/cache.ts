/** States of beginnings that were read before, for every request that begins alike. */

import { checkArguments, checkCount } from "../../src/checks.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Model, State } from "../model/model.ts";
import { type Ids, languageOf } from "../model/tokens.ts";
import { cutPart, type Part, partOf, stateOf } from "./part.ts";
import { createTree, type Node } from "./tree.ts";

export interface PrefixCacheOptions {
  /** Bytes of states at most; those that were not used for longest go first. Default 256 MiB. */
  readonly maxBytes?: number;
  /** Tokens that a state must save at least to be kept where requests part. Default 16. */
  readonly leastTokens?: number;
}

/** How much is kept, and what it was good for. */
export interface PrefixCacheStats {
  readonly states: number;
  readonly bytes: number;
  /** Prompts that were looked up, and their tokens; those whose beginning was found, and its tokens. */
  readonly requests: number;
  readonly tokens: number;
  readonly hits: number;
  readonly cachedTokens: number;
}

/** What was read before of a prompt: a state that nobody may write over. */
export interface Beginning {
  readonly state: State;
  readonly tokens: number;
}

/**
 * States by the tokens they have read from nothing: give it to `generate` and `batch.add` as the option `cache`. It holds
 * one state where a prompt ends, one where a text ends, and one where two prompts part.
 */
export interface PrefixCache {
  readonly model: Model;
  readonly stats: PrefixCacheStats;
  /** The longest beginning that was read before; all of the ids where that is kept, with the logits of what follows. */
  find(ids: Ids): Promise<Beginning | undefined>;
  /** Where the ids part from all that is known, if a state there is worth keeping. */
  parting(ids: Ids): number | undefined;
  /** Keeps the state after the ids, which nobody may write over from here on. @param state one row, read from nothing */
  keep(ids: Ids, state: State): Promise<void>;
  /** Every state that is kept, with the tokens that it has read. */
  all(): AsyncIterable<{ readonly ids: Ids; readonly state: State }>;
  /** Forgets all of them. */
  clear(): void;
}

/**
 * Starts an empty cache of one model, shared by all requests that are given it.
 *
 *     const cache = createPrefixCache(model, { maxBytes: 1e9 });
 *     for await (const { text, prompt } of generate(model, { prompt: system + question, cache })) {
 *       if (prompt) console.error(`${prompt.cachedTokens} of ${prompt.tokens} tokens were read before`);
 *       process.stdout.write(text);
 *     }
 *
 * @throws LongConvError bad-input for an option out of its range, and for what is no language model
 */
export function createPrefixCache(model: Model, options: PrefixCacheOptions = {}): PrefixCache {
  checkArguments({ model: ["loaded", model], options: ["options", options] });
  const { maxBytes = 2 ** 28, leastTokens = 16 } = options;
  checkCount("maxBytes", maxBytes, 0);
  checkCount("leastTokens", leastTokens, 1);
  languageOf(model);
  let tree = createTree<Part>();
  /**
   * Nodes with a state, the one that was not used for longest first. Whoever uses a node uses what it is kept behind, a
   * moment later: so the first of them never has one behind it.
   */
  let order = new Set<Node<Part>>();
  let bytes = 0;
  let counts = { requests: 0, tokens: 0, hits: 0, cachedTokens: 0 };
  /** One change at a time. */
  let last: Promise<unknown> = Promise.resolve();

  const valued = (path: readonly Node<Part>[]) => path.filter(({ value }) => value !== undefined);
  const use = (nodes: readonly Node<Part>[]): void => {
    for (const node of nodes.toReversed()) {
      order.delete(node);
      order.add(node);
    }
  };

  const put = (ids: Ids, part: Part): Node<Part> => {
    const node = tree.put(ids, part);
    bytes += part.bytes;
    return node;
  };

  const add = async (ids: Ids, state: State): Promise<void> => {
    const before = valued(tree.along(ids).path);
    if (before.at(-1)?.depth === ids.length) return use(before);
    const here = tree;
    const part = await partOf(model, state, before.at(-1)?.depth ?? 0);
    if (part.bytes > maxBytes || here !== tree) return;
    const node = put(ids, part);
    for (const child of tree.below(node)) {
      const shorter = cutPart(model, child.value!, node.depth);
      bytes += shorter.bytes - child.value!.bytes;
      tree.replace(child, shorter);
    }
    use([...before, node]);
    for (const oldest of order) {
      if (bytes <= maxBytes) break;
      order.delete(oldest);
      bytes -= oldest.value!.bytes;
      tree.drop(oldest);
    }
  };

  return {
    model,
    get stats() {
      return { states: order.size, bytes, ...counts };
    },
    async find(ids) {
      const path = valued(tree.along(ids).path);
      const deepest = path.at(-1);
      use(path);
      const { requests, tokens, hits, cachedTokens } = counts;
      counts = {
        ...{ requests: requests + 1, tokens: tokens + ids.length },
        ...{ hits: hits + Number(path.length > 0), cachedTokens: cachedTokens + (deepest?.depth ?? 0) },
      };
      if (!deepest) return undefined;
      const parts = path.map(({ value }) => value!);
      return { state: stateOf(model, parts), tokens: deepest.depth };
    },
    parting(ids) {
      const { path, known } = tree.along(ids);
      const kept = valued(path).at(-1)?.depth ?? 0;
      return known - kept >= leastTokens ? known : undefined;
    },
    keep(ids, state) {
      if (state.batchSize !== 1 || state.positions[0] !== ids.length || !state.logits) {
        const reason = `a state of one row that has read the ${ids.length} tokens, with its next logits, can be kept; got one of ${state.batchSize} rows at ${state.positions.join(", ")}`;
        throw new LongConvError("bad-input", reason);
      }
      const added = last.then(() => add(ids, state));
      last = added.catch(() => {});
      return added;
    },
    async *all() {
      for (const node of [...order]) {
        const path: Node<Part>[] = [];
        for (let each: Node<Part> | undefined = node; each; each = each.parent) path.unshift(each);
        if (node.value === undefined) continue;
        const parts = valued(path).map(({ value }) => value!);
        yield { ids: path.flatMap(({ tokens }) => tokens), state: stateOf(model, parts) };
      }
    },
    clear() {
      tree = createTree();
      order = new Set();
      bytes = 0;
    },
  };
}
