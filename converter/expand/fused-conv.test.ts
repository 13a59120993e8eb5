/** FusedConv of ONNX Runtime, written out: the operator itself, on the whole sequence, is the judge. */
import { expect, test } from "vitest";
import { CHANNELS, close, conversion, sameAsOriginal, signal, small } from "../../test/small.ts";
import { convertModel } from "../convert.ts";
import type { AttributeInput } from "../graph/attributes.ts";
import { toNumbers } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";
import { expanded } from "./index.ts";

interface Spelling {
  readonly activation?: string;
  readonly params?: readonly number[];
  /** What is added before the activation is the stream itself. */
  readonly sum?: true;
  readonly pads?: readonly [number, number];
  readonly dilation?: number;
}

const model = ({ activation, params, sum, pads = [2, 0], dilation = 1 }: Spelling) =>
  small({
    build(b) {
      const weights = Float32Array.from({ length: CHANNELS * CHANNELS * 3 }, (_, i) => Math.sin(i * i + 1));
      const x = b.one("Transpose", ["x"], { perm: [0, 2, 1] });
      const attributes: Record<string, AttributeInput> = {
        ...{ kernel_shape: [3], pads: [...pads], dilations: [dilation] },
        ...(activation && { activation }),
        ...(params && { activation_params: { floats: params } }),
      };
      const inputs = [x, b.floats("w", [CHANNELS, CHANNELS, 3], weights), b.floats("bias", [CHANNELS], [1, -1, 0, 2])];
      const y = b.one("FusedConv", sum ? [...inputs, x] : inputs, attributes, { domain: "com.microsoft" });
      b.one("Transpose", [y], { perm: [0, 2, 1] }, { outputs: ["y"] });
    },
  });

const SPELLINGS: readonly [string, Spelling][] = [
  ["no activation", {}],
  ["Relu", { activation: "Relu" }],
  ["Relu of a sum", { activation: "Relu", sum: true }],
  ["Tanh, dilated", { activation: "Tanh", dilation: 2, pads: [4, 0] }],
  ["Sigmoid", { activation: "Sigmoid" }],
  ["LeakyRelu", { activation: "LeakyRelu", params: [0.3] }],
  ["Clip of a sum", { activation: "Clip", params: [-0.5, 0.75], sum: true }],
  ["HardSigmoid", { activation: "HardSigmoid", params: [0.3, 0.4] }],
];

test.each(SPELLINGS)("%s: the operator's own values, and proven", async (_, spelling) => {
  const fused = model(spelling);
  const written = expanded(fused);
  expect(written.graph.nodes.map(({ op }) => op)).not.toContain("FusedConv");
  const of = async (each: typeof fused) => {
    const runner = await openModel(each);
    const y = toNumbers((await runner.run({ x: signal(21) })).y!);
    await runner.close();
    return y;
  };
  close(await of(written), await of(fused));
  expect((await conversion(fused)).claim).toEqual({ kind: "proven" });
  await sameAsOriginal(fused);
});

test("refused: a fused convolution that reads a later position", async () => {
  await expect(convertModel(model({ activation: "Relu", pads: [1, 1] }))).rejects.toMatchObject({ code: "not-causal" });
});
