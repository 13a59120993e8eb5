/** A tree of token sequences with values: those that begin alike share their beginning. */
import type { Ids } from "../model/tokens.ts";

export interface Node<T> {
  readonly parent: Node<T> | undefined;
  /** Tokens from the parent to here; empty at the root. */
  readonly tokens: Ids;
  /** Tokens from the root to here. */
  readonly depth: number;
  readonly children: ReadonlyMap<number, Node<T>>;
  readonly value: T | undefined;
}

export interface Tree<T> {
  /**
   * @returns the nodes whose tokens the ids begin with, from the root on, and how many of the ids are known: to where
   *   they part from every sequence here
   */
  along(ids: Ids): { readonly path: readonly Node<T>[]; readonly known: number };
  /** Gives a sequence a value, in place of the one it has. */
  put(ids: Ids, value: T): Node<T>;
  /** Gives a node another value. */
  replace(node: Node<T>, value: T): void;
  /** Takes the value of a node, and the tokens that then lead nowhere. */
  drop(node: Node<T>): void;
  /** The nearest nodes with a value below this one. */
  below(node: Node<T>): Node<T>[];
}

interface Own<T> extends Node<T> {
  parent: Own<T> | undefined;
  tokens: Ids;
  readonly children: Map<number, Own<T>>;
  value: T | undefined;
}

export function createTree<T>(): Tree<T> {
  const root: Own<T> = { parent: undefined, tokens: [], depth: 0, children: new Map(), value: undefined };

  const walk = (ids: Ids): { path: Own<T>[]; known: number } => {
    const path = [root];
    for (let at = 0; ; ) {
      const child = path.at(-1)!.children.get(ids[at]!);
      if (!child || at >= ids.length) return { path, known: at };
      const same = alike(child.tokens, ids, at);
      at += same;
      if (same < child.tokens.length) return { path, known: at };
      path.push(child);
    }
  };

  /** A node between another and its parent, at a depth between theirs. */
  const split = (child: Own<T>, depth: number): Own<T> => {
    const parent = child.parent!;
    const own = depth - parent.depth;
    const tokens = child.tokens.slice(0, own);
    const node: Own<T> = { parent, tokens, depth, children: new Map(), value: undefined };
    parent.children.set(tokens[0]!, node);
    child.parent = node;
    child.tokens = child.tokens.slice(own);
    node.children.set(child.tokens[0]!, child);
    return node;
  };

  return {
    along: walk,
    put(ids, value) {
      const { path, known } = walk(ids);
      let node = path.at(-1)!;
      if (known > node.depth) node = split(node.children.get(ids[node.depth]!)!, known);
      if (node.depth < ids.length) {
        const tokens = ids.slice(node.depth);
        const leaf: Own<T> = { parent: node, tokens, depth: ids.length, children: new Map(), value: undefined };
        node.children.set(tokens[0]!, leaf);
        node = leaf;
      }
      node.value = value;
      return node;
    },
    replace(node, value) {
      (node as Own<T>).value = value;
    },
    drop(given) {
      let node = given as Own<T>;
      node.value = undefined;
      while (node.parent && node.value === undefined && node.children.size === 0) {
        node.parent.children.delete(node.tokens[0]!);
        node = node.parent;
      }
    },
    below: (node) =>
      [...node.children.values()].flatMap(function nearest(child): Node<T>[] {
        return child.value === undefined ? [...child.children.values()].flatMap(nearest) : [child];
      }),
  };
}

/** How many of the tokens are the ids from `at` on. */
function alike(tokens: Ids, ids: Ids, at: number): number {
  let same = 0;
  while (same < tokens.length && at + same < ids.length && tokens[same] === ids[at + same]) same++;
  return same;
}
