/** Layers whose operator wants a batch: the graph made one of size 1 for them, which gives way. */
import type { Row } from "./row.ts";

/** A batch of one that the graph made itself gives way to the batch. */
export const ofOwnBatch: Row = (site) => {
  const { node, b, dimsOf, isBatched } = site;
  const [data, ...rest] = node.inputs as [string, ...string[]];
  if (!isBatched(data) || rest.some((name) => name && isBatched(name)) || dimsOf(data)?.[0] !== 1) return false;
  const own = b.one("Squeeze", [data, b.ints("own", [1])], {}, { hint: "batch" });
  const made = b.name(node.name);
  b.copy(node, [own, ...rest], [made]);
  b.add("Unsqueeze", [made, b.ints("own", [1])], {}, { outputs: [node.outputs[0]!] });
  return true;
};

/** The same for layers along axis 0 of [positions, 1, features]. */
export const recurrent: Row = (site) => {
  const { node, b, dimsOf, isBatched } = site;
  const [data, ...rest] = node.inputs as [string, ...string[]];
  const used = node.outputs.filter(Boolean);
  if (!isBatched(data) || rest.slice(3).some(Boolean) || dimsOf(data)?.[1] !== 1 || used[0] !== node.outputs[0])
    return false;
  if (used.length !== 1) return false;
  const own = b.one("Squeeze", [data, b.ints("own", [2])], {}, { hint: "batch" });
  const made = b.name(node.name);
  const alone = node.outputs.map((_, i) => (i === 0 ? made : ""));
  b.copy(node, [b.one("Transpose", [own], { perm: [1, 0, 2] }), ...rest.slice(0, 3)], alone);
  const back = b.one("Transpose", [made], { perm: [2, 0, 1, 3] });
  b.add("Unsqueeze", [back, b.ints("own", [3])], {}, { outputs: [node.outputs[0]!] });
  return true;
};
