/** Reading: what is refused and how, and external values. */

import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { zooModel } from "../../test/testdata.ts";
import { readExternal } from "../graph/external.ts";
import { indexGraph } from "../graph/graph.ts";
import type { GraphProto, ModelProto, NodeProto } from "../graph/proto.ts";
import { encodeMessage } from "../graph/schema.ts";
import { decodeModel, readModel } from "./read.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "longconv-read-"));
});
afterAll(() => rm(folder, { recursive: true }));

type GraphParts = GraphProto;

function modelBytes(graph: GraphParts, model: ModelProto = {}): Uint8Array {
  const whole = { name: "g", input: [{ name: "x" }], output: [{ name: "y" }], ...graph };
  return encodeMessage("ModelProto", { irVersion: 8, opsetImport: [{ version: 18 }], graph: whole, ...model });
}

const node = (name: string, input: string[], output: string[]): NodeProto => ({
  name,
  opType: "Add",
  input,
  output,
});

const codeOf = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return "read";
};

describe("files that are not models", () => {
  test("no such file", () =>
    expect(readModel(path.join(folder, "none.onnx"))).rejects.toMatchObject({ code: "file-missing" }));
  test("a folder", () => expect(readModel(folder)).rejects.toMatchObject({ code: "not-onnx" }));
  test("an empty file", () => expect(() => decodeModel(new Uint8Array())).toThrow("is empty [not-onnx]"));

  test("random bytes", () => {
    let state = 1;
    const random = () => {
      state = (state * 48271) % 2147483647;
      return state & 255;
    };
    for (let length = 1; length < 400; length++)
      expect(codeOf(() => decodeModel(Uint8Array.from({ length }, random)))).toBe("not-onnx");
  });

  test("a model cut short anywhere", () => {
    const bytes = readFileSync(zooModel("tnn-conv1d").file);
    for (let part = 0; part < 200; part++) {
      const code = codeOf(() => decodeModel(bytes.subarray(0, Math.floor((bytes.length * part) / 200))));
      expect(code).toBe("not-onnx");
    }
  });

  test("a tensor is not a model", () => {
    const tensor = encodeMessage("TensorProto", { dims: [2], dataType: 1, rawData: new Uint8Array(8) });
    expect(codeOf(() => decodeModel(tensor))).toBe("not-onnx");
  });
});

describe("versions", () => {
  const graph = { node: [node("n", ["x", "x"], ["y"])] };
  test.each([
    [6, "unsupported-opset"],
    [13, "read"],
    [24, "read"],
    [28, "unsupported-opset"],
  ])("opset %i: %s", (version, code) => {
    expect(codeOf(() => decodeModel(modelBytes(graph, { opsetImport: [{ version }] })))).toBe(code);
  });
  test.each([
    [2, "unsupported-opset"],
    [3, "read"],
    [13, "read"],
    [99, "unsupported-opset"],
  ])("IR %i: %s", (irVersion, code) => {
    expect(codeOf(() => decodeModel(modelBytes(graph, { irVersion })))).toBe(code);
  });
  test("no opset", () => expect(() => decodeModel(modelBytes(graph, { opsetImport: [] }))).toThrow("opset missing"));
  test("ai.onnx is the standard domain", () => {
    const model = decodeModel(modelBytes(graph, { opsetImport: [{ domain: "ai.onnx", version: 18 }] }));
    expect(model.opsets.get("")).toBe(18);
  });
});

describe("graphs that do not hang together", () => {
  const fails = (nodes: NodeProto[], ...parts: string[]) => {
    for (const part of ["invalid-graph", ...parts])
      expect(() => decodeModel(modelBytes({ node: nodes }))).toThrow(part);
  };
  test("a cycle", () =>
    fails([node("a", ["x", "q"], ["p"]), node("b", ["p", "p"], ["q"]), node("c", ["q", "q"], ["y"])], "cycle"));
  test("a node that reads itself", () => fails([node("a", ["x", "y"], ["y"])], "node 'a' (Add)", "cycle"));
  test("a tensor made twice", () =>
    fails([node("a", ["x", "x"], ["y"]), node("b", ["x", "x"], ["y"])], "node 'b'", "'y'"));
  test("an input made again", () => fails([node("a", ["x", "x"], ["x"]), node("b", ["x", "x"], ["y"])], "node 'a'"));
  test("a tensor that nothing makes", () => fails([node("a", ["x", "w"], ["y"])], "node 'a'", "tensor 'w'"));
  test("an output that nothing makes", () => fails([node("a", ["x", "x"], ["z"])], "tensor 'y'"));
  test("a tensor that nothing makes, in a branch", () => {
    const branch = { name: "b", node: [node("inner", ["x", "w"], ["o"])], output: [{ name: "o" }] };
    const attribute = ["then_branch", "else_branch"].map((name) => ({ name, type: 5, g: branch }));
    fails([{ name: "if", opType: "If", input: ["x"], output: ["y"], attribute }], "node 'if'", "tensor 'w'");
  });
  test.each([
    ["Loop", "body"],
    ["Scan", "body"],
    ["If", "then_branch"],
  ])("%s without its %s", (opType, body) => {
    const inputs = { Loop: ["", "", "x"], Scan: ["x"], If: ["x"] }[opType]!;
    const bodiless = { name: "turns", opType, input: inputs, output: ["y"] };
    fails([bodiless], `node 'turns' (${opType})`, `'${body}' is missing`);
    // an attribute of that name that is no graph
    fails([{ ...bodiless, attribute: [{ name: body, type: 2, i: 1 }] }], `'${body}' is missing`);
  });
  test("values that do not fit the shape, named by node", () => {
    const attribute = [{ name: "value", type: 4, t: { dims: [3], dataType: 1, rawData: new Uint8Array(8) } }];
    fails(
      [{ name: "c", opType: "Constant", output: ["y"], attribute }],
      "node 'c' (Constant)",
      "takes 12 bytes, got 8",
    );
  });
});

test("nodes are brought into order, stably, and an order that is right stays", () => {
  const nodes = [node("c", ["b", "a"], ["y"]), node("a", ["x", "x"], ["a"]), node("b", ["a", "x"], ["b"])];
  const sorted = decodeModel(modelBytes({ node: nodes })).graph.nodes.map((each) => each.name);
  expect(sorted).toEqual(["a", "b", "c"]);
  const right = [node("b", ["x", "x"], ["b"]), node("a", ["x", "x"], ["a"]), node("c", ["b", "a"], ["y"])];
  expect(decodeModel(modelBytes({ node: right })).graph.nodes.map((each) => each.name)).toEqual(["b", "a", "c"]);
});

test("what a branch reads counts as read by its node", () => {
  const branch = {
    name: "b",
    node: [node("inner", ["a", "o2"], ["o"]), node("inner2", ["x", "x"], ["o2"])],
    output: [{ name: "o" }],
  };
  const attribute = ["then_branch", "else_branch"].map((name) => ({ name, type: 5, g: branch }));
  const nodes = [{ name: "if", opType: "If", input: ["x"], output: ["y"], attribute }, node("a", ["x", "x"], ["a"])];
  const { graph } = decodeModel(modelBytes({ node: nodes }));
  expect(graph.nodes.map((each) => each.name)).toEqual(["a", "if"]);
  expect(
    indexGraph(graph)
      .consumers.get("a")
      ?.map((each) => each.name),
  ).toEqual(["if"]);
});

test("node names are unique, made up where the file has none", () => {
  const nodes = [
    node("", ["x", "x"], ["a"]),
    node("n", ["x", "x"], ["b"]),
    node("n", ["a", "b"], ["y"]),
    node("", ["x", "x"], ["d"]),
  ];
  const names = decodeModel(modelBytes({ node: nodes })).graph.nodes.map((each) => each.name);
  expect(new Set(names).size).toBe(4);
  expect(names[1]).toBe("n");
  expect(names).not.toContain("");
});

describe("external values", () => {
  const external = (entries: Record<string, string>, dims = [2]) =>
    modelBytes({
      node: [node("n", ["x", "w"], ["y"])],
      initializer: [
        {
          name: "w",
          dataType: 1,
          dims,
          dataLocation: 1,
          externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
        },
      ],
    });
  const code = (entries: Record<string, string>, dims?: number[]) =>
    codeOf(() => decodeModel(external(entries, dims), "model.onnx", path.join(folder, "model")));

  beforeAll(async () => {
    await mkdir(path.join(folder, "model", "sub"), { recursive: true });
    await writeFile(path.join(folder, "model", "data"), new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer));
    await writeFile(path.join(folder, "secret"), new Uint8Array(64));
    await symlink(path.join(folder, "secret"), path.join(folder, "model", "link"));
    await symlink(path.join(folder, "model", "data"), path.join(folder, "model", "sub", "inside"));
    await symlink(folder, path.join(folder, "model", "up"));
  });

  test("are read at their offset, when asked for", () => {
    const { graph } = decodeModel(
      external({ location: "data", offset: "4", length: "8" }),
      "",
      path.join(folder, "model"),
    );
    expect(graph.initializers.get("w")!.tensor().data).toEqual(Float32Array.of(2, 3));
  });
  test("without offset and length", () => expect(code({ location: "data" }, [4])).toBe("read"));
  test("a name that begins with two dots", async () => {
    await writeFile(path.join(folder, "model", "..w.bin"), new Uint8Array(8));
    expect(code({ location: "..w.bin" })).toBe("read");
  });
  test.each([-1, 2 ** 40, 2 ** 62])("a dimension of %d", (dim) => {
    expect(code({ location: "data" }, [dim])).toBe("invalid-graph");
  });
  test("a link that stays inside", () => expect(code({ location: "sub/inside" })).toBe("read"));
  test.each([
    ["missing", { location: "none" }, "external-data-missing"],
    ["a folder", { location: "sub" }, "external-data-missing"],
    ["no location", { offset: "0" }, "external-data-missing"],
    ["too short", { location: "data", offset: "12" }, "external-data-short"],
    ["upwards", { location: "../secret" }, "external-data-outside"],
    ["upwards and back", { location: "sub/../../model/data" }, "external-data-outside"],
    ["upwards, Windows", { location: "..\\secret" }, "external-data-outside"],
    ["absolute", { location: "/etc/hostname" }, "external-data-outside"],
    ["absolute, Windows", { location: "C:\\data" }, "external-data-outside"],
    ["a link outside", { location: "link" }, "external-data-outside"],
    ["a linked folder outside", { location: "up/secret" }, "external-data-outside"],
    ["a length that is not the tensor's", { location: "data", length: "4" }, "invalid-graph"],
    ["a negative offset", { location: "data", offset: "-4" }, "invalid-graph"],
    ["an offset in hexadecimal", { location: "data", offset: "0x0" }, "invalid-graph"],
    ["an offset with a space", { location: "data", offset: " 0" }, "invalid-graph"],
    ["a NUL byte", { location: "da\0ta" }, "invalid-graph"],
  ] as const)("%s", (_, entries, expected) => expect(code(entries)).toBe(expected));

  test("a model from memory has no folder", () => {
    expect(codeOf(() => decodeModel(external({ location: "data" })))).toBe("external-data-missing");
  });

  test("beyond 4 GB, only the tensor asked for", async () => {
    const file = path.join(folder, "model", "large");
    const offset = 5 * 2 ** 30;
    await writeFile(file, "");
    // A sparse file: it takes no room.
    await truncate(file, offset + 8);
    const { graph } = decodeModel(
      external({ location: "large", offset: String(offset) }),
      "",
      path.join(folder, "model"),
    );
    expect(graph.initializers.get("w")!.bytes()).toEqual(new Uint8Array(8));
    await truncate(file, offset + 7);
    expect(() => graph.initializers.get("w")!.bytes()).toThrow("external-data-short");
    expect(() => readExternal({ path: `${file}-gone`, offset: 0, length: 1 })).toThrow("external-data-missing");
  });

  test("of a constant in a node are read at once", () => {
    const entries = [
      { key: "location", value: "data" },
      { key: "offset", value: "8" },
    ];
    const t = { name: "t", dataType: 1, dims: [2], dataLocation: 1, externalData: entries };
    const bytes = modelBytes({
      node: [{ opType: "Constant", output: ["y"], attribute: [{ name: "value", type: 4, t }] }],
    });
    const model = decodeModel(bytes, "", path.join(folder, "model"));
    expect(model.graph.nodes[0]!.attributes.value).toMatchObject({ data: Float32Array.of(3, 4) });
  });
});
