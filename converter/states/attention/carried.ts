/** A matrix for each head in the place of rows of keys and values: linear.ts says when. */
import type { Claim } from "../../../src/contract.ts";
import type { Known, Place, Realisation, StateReport } from "../../find/carried.ts";
import { ssmPorts } from "../../find/start.ts";
import type { Builder } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { DataType } from "../../graph/tensor.ts";
import type { Linear, Sum } from "./linear.ts";
import type { Pairs } from "./pairs.ts";
import { positionsIn } from "./positions.ts";

/** The attention with states of fixed size. @param claim of the attention, whatever it carries */
export function carriedMatrix(known: Known, node: Node, pairs: Pairs, linear: Linear, claim: Claim): Realisation {
  const { heads, hasHeads, keyWidth, sums } = linear;
  const numbers = sums.reduce((sum, { width }) => sum + keyWidth * width, 0);
  const row = keyWidth + sums.reduce((sum, { value, width }) => sum + (value ? width : 0), 0);
  const decay = linear.rate.every((each) => each === 0) ? "no decay" : "one decay a head";
  const dimsOf = ({ width }: Sum) => [...(hasHeads ? [heads] : []), keyWidth, width];
  const reports = sums.map((sum): StateReport => {
    const what = sum.value ? "products of keys and values" : "keys";
    return {
      ...{
        state: "ssm",
        form: "recurrent",
        channels: heads * keyWidth * sum.width,
        lags: 0,
        order: 1,
        dims: dimsOf(sum),
      },
      because: `no softmax and ${decay}, so a sum of ${what} is carried: smaller than rows of keys and values from ${Math.floor(numbers / row) + 1} positions on`,
    };
  });
  return {
    ...{ opening: node, nodes: new Set(pairs.nodes), reports, needsStart: false },
    claim,
    add: (b, place) => {
      const ports = sums.map((sum, i) => ssmPorts(place.index + i, dimsOf(sum)));
      const names = ports.map(({ past, present }) => ({ past: past.name, present: present.name }));
      addLinear(b, known, pairs, linear, place, names);
      return ports;
    },
  };
}

/**
 * Within the call the nodes are kept, on its own keys and values; to that comes what the state adds:
 *
 *     y_t += d γ^t q_t (γ S),    S ← γ^(T-1) (γ S) + Σ_t γ^(T-1-t) k_t ⊗ v_t
 *
 * γ S alone reads the past, so that the present may be written where it was; it is S - (1 - γ) S, and powers are exp(t log γ):
 * near 1, float32 has 1 - γ and log γ to more places than γ.
 */
function addLinear(
  b: Builder,
  known: Known,
  pairs: Pairs,
  { nodes, sums, query, key, heads, hasHeads, scale, rate }: Linear,
  place: Place,
  states: readonly { readonly past: string; readonly present: string }[],
): void {
  const { symbols } = place;
  const byHead = (hint: string, values: Float64Array) => b.floats(hint, hasHeads ? [heads, 1, 1] : [1, 1], values);
  const slope = byHead("rate", rate);
  const loss = byHead(
    "loss",
    rate.map((each) => -Math.expm1(each)),
  );
  const length = symbols.time();
  const zero = b.ints("zero", [0]);
  const scalar = b.one("Squeeze", [length, zero], {}, { hint: "length" });
  const range = b.one("Range", [b.ints("from", 0), scalar, b.ints("step", 1)], {}, { hint: "places" });
  const last = b.one("Sub", [length, b.ints("one", [1])], {}, { hint: "last" });
  const powers = (exponents: string) => {
    const column = b.one("Reshape", [exponents, b.ints("column", [-1, 1])], {}, { hint: "places" });
    const float = b.one("Cast", [column], { to: DataType.FLOAT }, { hint: "places" });
    return b.one("Exp", [b.one("Mul", [float, slope])], {}, { hint: "powers" });
  };
  const hidden = (tensor: string, shape: readonly number[]) => {
    if (place.mask === undefined) return tensor;
    const shaped = b.one("Reshape", [place.mask, b.ints("mask_shape", shape)], {}, { hint: "mask" });
    const shown = b.one("Cast", [shaped], { to: DataType.BOOL }, { hint: "shown" });
    return b.one("Where", [shown, tensor, b.floats("nothing", [1], [0])], {}, { hint: "masked" });
  };
  const compute = positionsIn(b, known, place.model, { symbols, keys: length, past: zero });
  const made = new Map([[key, hidden(key, hasHeads ? [0, 1, 1, -1] : [0, 1, -1])]]);
  for (const { value } of sums)
    if (value && !made.has(value)) made.set(value, hidden(value, hasHeads ? [0, 1, -1, 1] : [0, -1, 1]));
  const kept = (each: Node): string => {
    const inputOf = (name: string) => (pairs.positions.has(name) ? compute(name, undefined) : (made.get(name) ?? name));
    const [output] = b.copy(place.original(each), each.inputs.map(inputOf));
    made.set(each.outputs[0]!, output!);
    return output!;
  };
  for (const each of nodes) kept(each);
  const weights = b.one("Mul", [powers(range), byHead("scale", scale)], {}, { hint: "weights" });
  const left = powers(b.one("Sub", [last, range], {}, { hint: "left" }));
  const whole = powers(last);
  for (const [i, { node, value }] of sums.entries()) {
    const { past, present } = states[i]!;
    const turned = b.one("Sub", [past, b.one("Mul", [past, loss])], {}, { hint: "decayed" });
    const read = b.one("Mul", [b.one("MatMul", [query, turned], {}, { hint: "read" }), weights]);
    const isFlat = !value && Number(node.attributes.keepdims ?? 1) === 0;
    const shaped = isFlat ? b.one("Squeeze", [read, b.ints("last_axis", [-1])]) : read;
    b.one("Add", [kept(node), shaped], {}, { outputs: [node.outputs[0]!] });
    const weighed = value ? b.one("Mul", [made.get(value)!, left]) : left;
    const added = b.one("MatMul", [made.get(key)!, weighed], {}, { hint: "added" });
    b.one("Add", [b.one("Mul", [turned, whole]), added], {}, { outputs: [present] });
  }
}
