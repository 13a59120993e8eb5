/** Whether a model keeps the state contract of docs/state-contract.md, rule by rule. */
import { checkArguments } from "../../src/checks.ts";
import { pairStates } from "../../src/contract.ts";
import type { Reach } from "../../src/reach.ts";
import type { Model, ValueInfo } from "../graph/graph.ts";
import { isLengthCache } from "../graph/length-cache.ts";
import { aliasing, type Finding, otherInputs, pairing, reachIn, shapes, types, version, zeroStart } from "./rules.ts";

/** The states of a model, as declared. */
export interface DeclaredState {
  readonly past: string;
  readonly present: string;
  readonly type: number;
  readonly dims: ValueInfo["dims"];
}

/** With the claim and the positions of the model's metadata. */
export interface ContractReport extends Reach {
  readonly kept: boolean;
  readonly states: readonly DeclaredState[];
  readonly findings: readonly Finding[];
}

/** Checks every rule; whoever made the model. Zeros that stay zeros, and rows that keep apart, only running can show. */
export function checkContract(model: Model): ContractReport {
  checkArguments({ model: ["model", model] });
  const { inputs, outputs } = model.graph;
  const names = (infos: readonly ValueInfo[]) => infos.map(({ name }) => name);
  const pairs = pairStates(names(inputs), names(outputs)).map(({ past, present }) => ({
    past: inputs.find(({ name }) => name === past)!,
    present: outputs.find(({ name }) => name === present)!,
  }));
  const states = pairs.filter(({ past }) => !isLengthCache(past));
  const reach = reachIn(model);
  const findings = [
    ...pairing(model, pairs),
    ...states.flatMap(types),
    ...states.flatMap(shapes),
    ...zeroStart(model),
    ...states.flatMap((pair) => aliasing(model, pair)),
    ...otherInputs(model),
    ...version(model, states),
    ...reach.findings,
  ];
  return {
    claim: reach.claim,
    positions: reach.positions,
    kept: !findings.some(({ breaks }) => breaks),
    states: states.map(({ past, present }) => ({
      past: past.name,
      present: present.name,
      type: past.type,
      dims: past.dims,
    })),
    findings,
  };
}
