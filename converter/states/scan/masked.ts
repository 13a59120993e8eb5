/** A loop that leaves its states alone where a position is padding. */
import { withAttributes } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { makeNode } from "../../graph/node.ts";
import type { GraphProto } from "../../graph/proto.ts";
import { withFields } from "../../graph/schema.ts";
import { DataType, int64Tensor } from "../../graph/tensor.ts";
import { valueInfoToProto } from "../../graph/valueinfo.ts";
import { scanAxes } from "../../time/rules/control.ts";

/** The same Scan with one more scan input, the mask [batch, T, 1]. @param ranks of its states */
export function maskedBody(node: Node, ranks: readonly number[]): Node {
  const body = node.attributes.body as GraphProto;
  const count = Number(node.attributes.num_scan_inputs);
  const shown = "longconv_shown";
  const nodes = [
    makeNode(`${shown}_node`, "Cast", [shown], [`${shown}_bool`], { attributes: { to: DataType.BOOL } }).proto,
    ...ranks.flatMap((rank, i) => {
      const [before, after] = [body.input![i]!.name!, body.output![i]!.name!];
      const shape = int64Tensor([rank], [-1, ...Array.from({ length: rank - 1 }, () => 1)]);
      const [shaped, size] = [`${shown}_${i}`, `${shown}_shape_${i}`];
      return [
        makeNode(`${size}_node`, "Constant", [], [size], { attributes: { value: { tensor: shape } } }).proto,
        makeNode(`${shaped}_node`, "Reshape", [`${shown}_bool`, size], [shaped]).proto,
        makeNode(`${shown}_kept_${i}_node`, "Where", [shaped, after, before], [`${shown}_kept_${i}`]).proto,
      ];
    }),
  ];
  const output = body.output!.map((info, i) =>
    i < ranks.length ? withFields(info, { name: `${shown}_kept_${i}` }) : info,
  );
  const mask = valueInfoToProto({ name: shown, type: DataType.FLOAT, dims: undefined });
  const graph = withFields(body, { input: [...body.input!, mask], node: [...body.node!, ...nodes], output });
  return withAttributes(node, {
    body: { graph },
    num_scan_inputs: count + 1,
    scan_input_axes: [...scanAxes(count, node.attributes.scan_input_axes), 1],
    scan_input_directions: Array.from({ length: count + 1 }, () => 0),
  });
}
