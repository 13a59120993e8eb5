/** Token ids of int32 become int64 at the input, for drivers that have int64 alone. */
import { INPUT_IDS } from "../../src/contract.ts";
import { createBuilder, namesOf } from "../graph/build.ts";
import type { Model } from "../graph/graph.ts";
import { renameTensors } from "../graph/rename.ts";
import { DataType } from "../graph/tensor.ts";

/** The model with `input_ids` as int64; as it is where that is no input of int32. */
export function withInt64Ids(model: Model): Model {
  const { graph } = model;
  if (graph.inputs.find(({ name }) => name === INPUT_IDS)?.type !== DataType.INT32) return model;
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(graph));
  const own = b.one("Cast", [INPUT_IDS], { to: DataType.INT32 }, { hint: "ids" });
  const renamed = renameTensors(graph, new Map([[INPUT_IDS, own]]));
  const inputs = renamed.inputs.map((info) =>
    info.name === own ? { ...info, name: INPUT_IDS, type: DataType.INT64 } : info,
  );
  return { ...model, graph: { ...renamed, inputs, nodes: [...b.nodes, ...renamed.nodes] } };
}
