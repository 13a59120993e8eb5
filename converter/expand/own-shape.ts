/** What is made as large as it is already, or flattened and given its own shape again, stays what it is. */
import type { Expansion, Site } from "./expansion.ts";

/** The tensor whose whole shape another holds. */
function shapeRead(site: Site, tensor: string): string | undefined {
  const node = site.producerOf(tensor);
  if (node?.op !== "Shape" || node.domain !== "") return undefined;
  return Number(node.attributes.start ?? 0) === 0 && node.attributes.end === undefined ? node.inputs[0] : undefined;
}

export const Expand: Expansion = (b, node, site) => {
  const [data, shape] = node.inputs as [string, string];
  if (shapeRead(site, shape) !== data) return false;
  b.one("Identity", [data], {}, { outputs: [node.outputs[0]!] });
  return true;
};

export const Reshape: Expansion = (b, node, site) => {
  const [data, shape] = node.inputs as [string, string];
  const own = shapeRead(site, shape);
  let from = data;
  for (let made = site.producerOf(from); from !== own && made?.op === "Reshape"; made = site.producerOf(from))
    from = made.inputs[0]!;
  // a tensor without an element may not be flattened so
  if (own === undefined || from !== own) return false;
  b.one("Identity", [own], {}, { outputs: [node.outputs[0]!] });
  return true;
};
