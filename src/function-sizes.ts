/** How large a model becomes once the functions in it are written out where they are called: counted before anything is made. */

/** Exporters' models have some thousand; a function that calls another ten times, and so on, soon has millions. */
export const MOST_NODES = 50_000;

/** A graph, or a function. */
export interface Body {
  readonly nodes: number;
  /** The functions that its nodes call, a call an entry, also those inside subgraphs. */
  readonly calls: readonly string[];
}

export interface Expansion {
  readonly nodes: number;
  /** Functions that call one another, at most. */
  readonly depth: number;
  /** A function that calls itself, if one does: then nothing is counted. */
  readonly circular: string | undefined;
}

/** What a domain, a name and an overload are called by; the standard domain has two names. */
export const functionKey = (
  domain: string | null | undefined,
  name: string | null | undefined,
  overload?: string | null,
) => JSON.stringify([domain === "ai.onnx" ? "" : (domain ?? ""), name ?? "", overload ?? ""]);

/** @param functions by {@link functionKey}; a call of another is a node */
export function expansionOf(main: Body, functions: ReadonlyMap<string, Body>): Expansion {
  const done = new Map<string, { readonly nodes: number; readonly depth: number }>();
  const sizeOf = ({ nodes, calls }: Body) => {
    const made = calls.flatMap((key) => done.get(key) ?? []);
    return {
      nodes: made.reduce((sum, each) => sum + each.nodes, nodes),
      depth: made.reduce((most, each) => Math.max(most, each.depth + 1), 0),
    };
  };
  const open = new Set<string>();
  // Depth first with a list of our own: functions can call one another deeper than the call stack.
  const waiting = [...main.calls];
  for (let key = waiting.at(-1); key !== undefined; key = waiting.at(-1)) {
    const body = functions.get(key);
    if (!body || done.has(key)) waiting.pop();
    else if (open.has(key)) {
      done.set(key, sizeOf(body));
      open.delete(key);
      waiting.pop();
    } else {
      open.add(key);
      for (const next of body.calls) {
        if (open.has(next)) return { nodes: 0, depth: 0, circular: next };
        if (!done.has(next)) waiting.push(next);
      }
    }
  }
  return { ...sizeOf(main), circular: undefined };
}

/** Of a model that is too large. */
export const describeExpansion = (nodes: number): string =>
  `its functions expand to ${nodes < 1e15 ? nodes : "more than 1e15"} nodes; ${MOST_NODES} are the most`;
