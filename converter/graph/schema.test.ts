/** Our field tables against onnx-proto's generated code, and fields that nobody knows. */
import { readFileSync } from "node:fs";
import onnxProto from "onnx-proto";
import protobuf from "protobufjs/light.js";
import { describe, expect, test } from "vitest";
import { zooModel } from "../../test/testdata.ts";
import { encodeModel } from "../file/encode.ts";
import { decodeModel } from "../file/read.ts";
import { rewire } from "./node.ts";
import { decodeMessage, encodeMessage, messageNames, messageType } from "./schema.ts";

interface StaticType {
  prototype: object;
  decode(bytes: Uint8Array): object;
  encode(message: object): { finish(): Uint8Array };
}

/** onnx-proto's class of a message; it has none for those that are newer than IR 8. */
function staticType(name: string): StaticType | undefined {
  return name
    .split(".")
    .reduce<unknown>((scope, part) => (scope as Record<string, unknown> | undefined)?.[part], onnxProto.onnx) as
    | StaticType
    | undefined;
}

const SAMPLES: Readonly<Record<string, unknown>> = { string: "s", bytes: new Uint8Array([7]), float: 1.5, double: 2.5 };

const known = messageNames.filter((name) => staticType(name));

test("we have every message of onnx-proto's", () => {
  const isMessage = (value: unknown) => typeof value === "function" && "decode" in value;
  const names = Object.entries(onnxProto.onnx).flatMap(([outer, type]) => [
    ...(isMessage(type) ? [outer] : []),
    ...Object.entries(type).flatMap(([inner, nested]) => (isMessage(nested) ? [`${outer}.${inner}`] : [])),
  ]);
  expect(names.toSorted()).toEqual(known.toSorted());
});

describe.each(known)("%s", (name) => {
  const ours = messageType(name);
  const theirs = staticType(name)!;
  // Besides fields, the prototype has methods and the virtual oneof `value`.
  const theirFields = Object.entries(theirs.prototype)
    .filter(([key, value]) => typeof value !== "function" && key !== "value")
    .map(([key]) => key);

  test("has every field of onnx-proto's", () => {
    const missing = theirFields.filter((field) => !ours.fields[field]);
    expect(missing).toEqual([]);
  });

  test.each(ours.fieldsArray.filter((field) => field.name in theirs.prototype).map((field) => field.name))(
    "%s is read by onnx-proto as we write it, and the other way round",
    (name) => {
      const field = ours.fields[name]!.resolve();
      const one = field.resolvedType ? {} : (SAMPLES[field.type] ?? 3);
      const message = { [name]: field.repeated ? [one, one] : one };
      const plain = (decoded: object) => {
        const value: unknown = (decoded as Record<string, unknown>)[name];
        expect(Object.hasOwn(decoded, name)).toBe(true);
        return JSON.parse(JSON.stringify(value));
      };
      const written = ours.encode(message).finish();
      const byThem = theirs.encode(message).finish();
      expect(plain(theirs.decode(written))).toEqual(plain(ours.decode(written)));
      expect(plain(ours.decode(byThem))).toEqual(plain(theirs.decode(byThem)));
    },
  );
});

test("a whole model of IR 8 decodes as onnx-proto decodes it", () => {
  const bytes = readFileSync(zooModel("tnn-toeplitz-torchscript").file);
  const options = { longs: String, bytes: String };
  const theirs = onnxProto.onnx.ModelProto.toObject(onnxProto.onnx.ModelProto.decode(bytes), options);
  const ours = messageType("ModelProto").toObject(messageType("ModelProto").decode(bytes), options);
  expect(ours).toEqual(theirs);
});

describe("fields that are not in the table", () => {
  const unknown = (text: string) =>
    protobuf.Writer.create()
      .uint32((1999 << 3) | 2)
      .string(text)
      .finish();
  const nested = (id: number, bytes: Uint8Array) =>
    protobuf.Writer.create()
      .uint32((id << 3) | 2)
      .bytes(bytes)
      .finish();
  const attribute = Buffer.concat([
    encodeMessage("AttributeProto", { name: "axis", type: 2, i: 0 }),
    unknown("in attribute"),
  ]);
  const node = Buffer.concat([
    encodeMessage("NodeProto", { input: ["x", "w"], output: ["y"], name: "n", opType: "Concat" }),
    nested(5, attribute),
    unknown("in node"),
  ]);
  const tensor = Buffer.concat([
    encodeMessage("TensorProto", { dims: [1], dataType: 1, name: "w", rawData: new Uint8Array(4) }),
    unknown("in tensor"),
  ]);
  const graph = Buffer.concat([
    nested(1, node),
    nested(5, tensor),
    encodeMessage("GraphProto", { name: "g", input: [{ name: "x" }], output: [{ name: "y" }] }),
    unknown("in graph"),
  ]);
  const head = encodeMessage("ModelProto", { irVersion: 8, opsetImport: [{ version: 18 }] });
  const bytes = Buffer.concat([head, nested(7, graph), unknown("in model")]);
  const places = ["attribute", "node", "tensor", "graph", "model"].map((place) => `in ${place}`);

  test("survive reading and writing", () => {
    const written = encodeModel(decodeModel(bytes));
    for (const place of places) expect(Buffer.from(written).includes(place)).toBe(true);
    // Again: the order of fields is settled now, so the bytes are too.
    expect(Buffer.compare(encodeModel(decodeModel(written)), written)).toBe(0);
    const kept = decodeMessage("ModelProto", written).graph!.node![0] as { $unknowns?: Uint8Array[] };
    expect(kept.$unknowns).toHaveLength(1);
    expect(Buffer.compare(kept.$unknowns![0]!, unknown("in node"))).toBe(0);
  });

  test("survive a change of the node", () => {
    const model = decodeModel(bytes);
    const nodes = model.graph.nodes.map((each) => rewire(each, { inputs: ["w", "x"] }));
    const written = Buffer.from(encodeModel({ ...model, graph: { ...model.graph, nodes } }));
    for (const place of places) expect(written.includes(place)).toBe(true);
    expect(decodeModel(written).graph.nodes[0]!.inputs).toEqual(["w", "x"]);
  });
});

test("fields present with their default value are written again", () => {
  const bytes = encodeMessage("AttributeProto", { name: "axis", type: 2, i: 0 });
  expect(Object.hasOwn(decodeMessage("AttributeProto", bytes), "i")).toBe(true);
});
