/** Numbers made of the length where an operator takes tensors. */
import { DataType, makeTensor } from "../../graph/tensor.ts";
import { numberOf } from "../values/cases.ts";
import { fixed } from "../values/rule.ts";
import type { Lines, Value } from "../values/value.ts";

/** A number made of sizes that is one number as a constant; an index may be moved by the length as well. */
export function operand(value: Value | undefined, other: Value | undefined): Value | undefined {
  if (value?.kind !== "sizes" || value.values.length !== 1) return value;
  const [size] = value.values;
  const isIndex = other?.kind === "tensor" && other.parts[0]?.kind === "index";
  if (isIndex)
    return {
      kind: "tensor",
      axes: value.rank ? [[]] : [],
      parts: [{ kind: "index", coefficients: new Map(), offset: size! }],
      pair: undefined,
    };
  const number = numberOf(size!);
  return number === undefined ? value : constantOf(number, value.rank);
}

function constantOf(number: number, rank: 0 | 1): Lines {
  const read = () => makeTensor(DataType.DOUBLE, rank ? [1] : [], Float64Array.of(number));
  return fixed(rank ? [[]] : [], `${number}`, { zero: number === 0, tensor: read });
}
