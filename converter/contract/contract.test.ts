/** The contract's rules on small models that keep or break them, one at a time. */
import { describe, expect, test } from "vitest";
import { FORMS } from "../../test/recurrence/forms.ts";
import { recurrenceModel } from "../../test/recurrence/model.ts";
import { createBuilder, initializerOf, makeModel } from "../graph/build.ts";
import type { Model, ValueInfo } from "../graph/graph.ts";
import { withLengthCache, withoutLengthCache } from "../graph/length-cache.ts";
import { rewire } from "../graph/node.ts";
import { DataType, float32Tensor } from "../graph/tensor.ts";
import { aliasingHazard } from "./aliasing.ts";
import { checkContract } from "./contract.ts";

const good = recurrenceModel(FORMS[0]![1]);
const rulesBroken = (model: Model) => [
  ...new Set(
    checkContract(model)
      .findings.filter(({ breaks }) => breaks)
      .map(({ rule }) => rule),
  ),
];
const withGraph = (changes: Partial<Model["graph"]>): Model => ({ ...good, graph: { ...good.graph, ...changes } });
const changed = (infos: readonly ValueInfo[], name: string, change: Partial<ValueInfo>) =>
  infos.map((info) => (info.name === name ? { ...info, ...change } : info));
const { inputs, outputs } = good.graph;

test.each(FORMS.filter(([name]) => !/no poles|window of 1/.test(name)))(
  "every lowered form keeps it: %s",
  (_, form) => {
    expect(rulesBroken(recurrenceModel(form))).toEqual([]);
  },
);

test.each<[string, string[], Model]>([
  ["a past without a present", ["pairs"], withGraph({ outputs: outputs.filter(({ name }) => name === "y") })],
  ["a present without a past", ["pairs"], withGraph({ inputs: inputs.filter(({ name }) => name === "x") })],
  ["another type", ["types"], withGraph({ inputs: changed(inputs, "past_ssm.0", { type: DataType.FLOAT16 }) })],
  [
    "a state that grows",
    ["shapes"],
    withGraph({ inputs: changed(inputs, "past_ssm.0", { dims: ["batch_size", "length", 5] }) }),
  ],
  [
    "a present of another shape",
    ["shapes"],
    withGraph({ outputs: changed(outputs, "present_ssm.0", { dims: ["batch_size", 15, 5] }) }),
  ],
  [
    "a mask of another type",
    ["inputs"],
    withGraph({ inputs: [...inputs, { name: "attention_mask", type: DataType.FLOAT, dims: ["batch_size", "n"] }] }),
  ],
  [
    "a state that starts from a value in the file",
    ["pairs", "zero-start"],
    withGraph({
      inputs: inputs.filter(({ name }) => name === "x"),
      initializers: new Map([
        ...good.graph.initializers,
        ["past_ssm.0", initializerOf("past_ssm.0", float32Tensor([1, 16, 5], new Float32Array(80)))],
      ]),
    }),
  ],
  ["a newer version", ["version"], { ...good, metadata: new Map([["longconv.version", "3"]]) }],
  [
    "metadata of other states",
    ["version"],
    {
      ...good,
      metadata: new Map([
        ["longconv.version", "1"],
        ["longconv.layers", JSON.stringify([{ index: 0, state: "ssm", order: 15, channels: 5 }])],
      ]),
    },
  ],
])("broken by %s", (_, rules, model) => {
  expect(rulesBroken(model)).toEqual(rules);
  expect(checkContract(model).kept).toBe(false);
});

describe("the length cache", () => {
  const cached = withLengthCache(good, "x");
  test("is no state, and breaks nothing", () => {
    const { kept, states } = checkContract(cached);
    expect(kept).toBe(true);
    expect(states.map(({ past }) => past)).toEqual(["past_ssm.0"]);
  });
  test("comes off again", () => {
    const { graph } = withoutLengthCache(cached);
    expect(graph.inputs).toEqual(inputs);
    expect(graph.outputs).toEqual(outputs);
  });
});

describe("past and present in one buffer", () => {
  const info = (name: string): ValueInfo => ({ name, type: DataType.FLOAT, dims: ["batch_size", 1, 4] });
  const hazard = (build: (b: ReturnType<typeof createBuilder>) => void) => {
    const b = createBuilder(18, ["x", "y", "p", "q"]);
    build(b);
    const [ins, outs] = [
      [info("x"), info("p")],
      [info("y"), info("q")],
    ];
    const model = makeModel({ inputs: ins, outputs: outs, nodes: b.nodes, initializers: b.initializers, opsets: 18 });
    return aliasingHazard(model, "p", "q");
  };
  test("safe: everything that reads the past comes before", () => {
    expect(
      hazard((b) => {
        const joined = b.one("Concat", ["p", "x"], { axis: 1 });
        b.add("ReduceSum", [joined, b.ints("axis", [1])], {}, { outputs: ["q"] });
        b.add("Mul", ["q", joined], {}, { outputs: ["y"] });
      }),
    ).toBeUndefined();
  });
  test.each<[string, RegExp, Parameters<typeof hazard>[0]]>([
    [
      "read afterwards",
      /\(Mul\) may read 'p' after/,
      (b) => {
        b.add("Add", ["p", "x"], {}, { outputs: ["q"] });
        b.add("Mul", ["p", "q"], {}, { outputs: ["y"] });
      },
    ],
    [
      "read afterwards through a view",
      /\(Mul\) may read 'p' after/,
      (b) => {
        const view = b.one("Unsqueeze", ["p", b.ints("axis", [0])]);
        b.add("Add", [b.one("Squeeze", [view, b.ints("axis", [0])]), "x"], {}, { outputs: ["q"] });
        b.add("Mul", [view, "q"], {}, { outputs: ["y"] });
      },
    ],
    [
      "read and written by an operator that does not go element by element",
      /\(MatMul\) reads 'p' while it writes 'q'/,
      (b) => {
        b.add("MatMul", [b.floats("w", [1, 1], [1]), "p"], {}, { outputs: ["q"] });
        b.add("Add", ["q", "x"], {}, { outputs: ["y"] });
      },
    ],
  ])("unsafe: %s", (_, message, build) => {
    expect(hazard(build)).toMatch(message);
  });
  test("unsafe in a branch only", () => {
    const branchy = good.graph.nodes.map((node) => {
      if (node.op !== "If") return node;
      const attribute = node.proto.attribute!.map((each) => {
        if (each.name !== "then_branch") return each;
        const late = {
          opType: "Mul",
          name: "late",
          input: ["past_ssm.0", each.g!.output![1]!.name!],
          output: ["late"],
        };
        return { ...each, g: { ...each.g!, node: [...each.g!.node!, late] } };
      });
      return rewire({ ...node, proto: { ...node.proto, attribute } }, {});
    });
    expect(aliasingHazard(withGraph({ nodes: branchy }), "past_ssm.0", "present_ssm.0")).toMatch(
      /'late' .* in a branch/,
    );
  });
});
