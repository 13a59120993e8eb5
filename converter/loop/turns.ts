/** How often a Loop turns, read from the graph. */
import type { Node } from "../graph/graph.ts";
import { type Tensor, toNumbers } from "../graph/tensor.ts";
import type { Body, Carry } from "./body.ts";
import { isSame, meant, type Names, type Size, sizeAlong, sizeIn } from "./sizes.ts";

/** Turns from which on a limit is none: exporters write the largest integer. */
const NO_LIMIT = 2 ** 31 - 1;

/** What is carried and is the number of the turn: from 0 on, one more in each. */
export function countersOf(names: Names, { carried }: Pick<Body, "carried">): readonly Carry[] {
  return carried.filter(({ before, after, start }) => {
    const node = names.producer(after);
    if (node?.op !== "Add" || node.domain !== "" || !isNumber(names.constant(meant(names, start)), 0)) return false;
    const [a, b] = node.inputs;
    return (a === before && isNumber(names.constant(b!), 1)) || (b === before && isNumber(names.constant(a!), 1));
  });
}

const isNumber = (tensor: Tensor | undefined, value: number): boolean =>
  tensor?.dims.length === 0 && toNumbers(tensor)[0] === value;

/** The number of turns: a size that the graph computes; undefined where it depends on something else. */
export function turnsOf(names: Names, loop: Node, body: Body, counters: readonly Carry[]): Size | undefined {
  const [limit = "", begins = ""] = loop.inputs;
  const isTrue = (name: string) => name === "" || isSet(names.constant(meant(names, name)));
  const steady = (size: Size | undefined) => size && steadySize(names, body, size);
  if (isTrue(body.goesOn)) return isTrue(begins) && limit ? steady(sizeIn(names, limit)) : undefined;
  const most = limit ? names.constant(meant(names, limit)) : undefined;
  if (limit && !(most && toNumbers(most)[0]! >= NO_LIMIT)) return undefined;
  const [first, again] = [lessThan(names, begins), lessThan(names, body.goesOn)];
  if (!first || !again || !isNumber(names.constant(meant(names, first.number)), 0)) return undefined;
  const [size, before] = [steady(sizeIn(names, again.size)), steady(sizeIn(names, first.size))];
  const isCounted = counters.some(({ after }) => after === again.number);
  return isCounted && size && before && isSame(size, before) ? size : undefined;
}

const isSet = (tensor: Tensor | undefined): boolean =>
  tensor !== undefined && toNumbers(tensor).length === 1 && toNumbers(tensor)[0] === 1;

/** What is less than what. */
function lessThan(names: Names, name: string): { number: string; size: string } | undefined {
  const node = names.producer(meant(names, name));
  const [a, b] = node?.inputs ?? [];
  if (node?.domain !== "" || !a || !b) return undefined;
  if (node.op === "Less") return { number: a, size: b };
  return node.op === "Greater" ? { number: b, size: a } : undefined;
}

/** A size of what is carried is that of what it begins with, if no turn changes it. */
function steadySize(names: Names, { carried }: Body, size: Size): Size | undefined {
  const carry = "of" in size ? carried.find(({ before }) => before === size.of) : undefined;
  if (!carry || !("of" in size)) return size;
  const after = sizeAlong(names, carry.after, size.axis);
  return after && isSame(after, size) ? sizeAlong(names, carry.start, size.axis) : undefined;
}
