/** Reads ONNX files: decodes, validates, and leaves external values where they are until asked for. */

import fs from "node:fs/promises";
import path from "node:path";
import { checkArguments } from "../../src/checks.ts";
import { LongConvError, placed } from "../../src/errors.ts";
import { named } from "../../src/unforeseen.ts";
import { locateExternal, readExternal } from "../graph/external.ts";
import { type Graph, type Initializer, type Model, type Node, whereOf } from "../graph/graph.ts";
import { initializerFromProto } from "../graph/initializer.ts";
import { nodeFromProto, standardDomain } from "../graph/node.ts";
import { topological } from "../graph/order.ts";
import type { GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto } from "../graph/proto.ts";
import { subgraphsOf } from "../graph/reads.ts";
import { decodeMessage, int64, withFields } from "../graph/schema.ts";
import { isExternal } from "../graph/tensorproto.ts";
import { valueInfoFromProto } from "../graph/valueinfo.ts";

/** IR versions and opsets of the standard operators that are read. */
export const SUPPORTED = { irVersion: [3, 14], opset: [7, 27] } as const;

const NOT_ONNX_REMEDY = "Give an .onnx file as an exporter wrote it.";

/**
 * Reads a model; external values are located and checked, but read only when asked for.
 * @throws LongConvError `file-missing`, and what {@link decodeModel} throws
 */
export async function readModel(file: string): Promise<Model> {
  return named(file, async () => {
    checkArguments({ file: ["path", file] });
    let bytes: Uint8Array;
    try {
      // To open a pipe would wait for whoever writes into it; a device never ends.
      const stat = await fs.stat(file);
      if (!stat.isFile() && !stat.isDirectory())
        throw new LongConvError("not-onnx", "is a pipe or a device", { file }, NOT_ONNX_REMEDY);
      bytes = await fs.readFile(file);
    } catch (cause) {
      if (cause instanceof LongConvError) throw cause;
      const code = (cause as NodeJS.ErrnoException).code;
      if (code === "EISDIR") throw new LongConvError("not-onnx", "is a folder", { file }, NOT_ONNX_REMEDY, cause);
      if (code === "ERR_FS_FILE_TOO_LARGE") {
        const remedy = "Larger models keep their weights in external data.";
        throw new LongConvError("not-onnx", "over 2 GB, the limit of an ONNX file", { file }, remedy, cause);
      }
      const missing = code === "ENOENT" || code === "ENOTDIR";
      const reason = missing ? "no such file" : `cannot be read (${code ?? cause})`;
      throw new LongConvError("file-missing", reason, { file }, "Check the path.", cause);
    }
    return decodeModel(bytes, file, path.dirname(path.resolve(file)));
  });
}

/**
 * Decodes a model and checks it: opset and IR version, every tensor made once, no cycles.
 * @param file its path, for messages
 * @param folder where its external data lie; without it a model with external data is refused
 * @throws LongConvError `not-onnx`, `unsupported-opset`, `invalid-graph`, `external-data-missing`,
 *   `external-data-short`, `external-data-outside`
 */
export function decodeModel(bytes: Uint8Array, file = "", folder?: string): Model {
  checkArguments({ bytes: ["bytes", bytes], file: ["text", file] });
  try {
    return decoded(bytes, file, folder);
  } catch (error) {
    throw placed(error, { file: file || undefined });
  }
}

function decoded(bytes: Uint8Array, file: string, folder: string | undefined): Model {
  const proto = decodeProto(bytes, file);
  const graph = proto.graph!;
  checkVersions(proto, file);
  loadInnerTensors(graph.node, file, folder);
  for (const each of proto.functions ?? []) loadInnerTensors(each.node, file, folder);
  // The shell keeps the graph's other fields, and inputs that only allow an initializer to be overridden.
  const initialized = new Set(graph.initializer?.map((each) => each.name));
  const shell = withFields(graph, {
    node: [],
    initializer: [],
    input: graph.input?.filter((info) => initialized.has(info.name)) ?? [],
    output: [],
  });
  return {
    file,
    irVersion: int64(proto.irVersion),
    opsets: opsetsOf(proto.opsetImport),
    graph: decodeGraph(graph, file, folder),
    metadata: new Map(proto.metadataProps?.map((entry) => [entry.key ?? "", entry.value ?? ""])),
    proto: withFields(proto, { graph: shell }),
  };
}

/** Versions by domain; the standard domain is "". */
export function opsetsOf(imports: readonly OperatorSetIdProto[] | null | undefined): Map<string, number> {
  return new Map(imports?.map((each) => [standardDomain(each.domain), int64(each.version)]));
}

function decodeProto(bytes: Uint8Array, file: string): ModelProto {
  const refuse = (reason: string, cause?: unknown) =>
    new LongConvError("not-onnx", reason, { file: file || undefined }, NOT_ONNX_REMEDY, cause);
  if (bytes.length === 0) throw refuse("is empty");
  let proto: ModelProto;
  try {
    proto = decodeMessage("ModelProto", bytes);
  } catch (cause) {
    throw refuse("not an ONNX model, or cut short", cause);
  }
  if (!proto.graph || !int64(proto.irVersion)) throw refuse("not an ONNX model: it has no graph or no IR version");
  if (!proto.graph.node?.length && !proto.graph.output?.length) throw refuse("not an ONNX model: its graph is empty");
  return proto;
}

function checkVersions(proto: ModelProto, file: string): void {
  const where = { file: file || undefined };
  const irVersion = int64(proto.irVersion);
  if (irVersion < SUPPORTED.irVersion[0] || irVersion > SUPPORTED.irVersion[1]) {
    const range = SUPPORTED.irVersion.join(" to ");
    const remedy = "Export the model again with another version of the exporter.";
    throw new LongConvError("unsupported-opset", `IR version ${irVersion}; supported are ${range}`, where, remedy);
  }
  const opset = opsetsOf(proto.opsetImport).get("");
  if (opset === undefined || opset < SUPPORTED.opset[0] || opset > SUPPORTED.opset[1]) {
    const range = SUPPORTED.opset.join(" to ");
    const remedy = "Export the model again with opset_version=18.";
    throw new LongConvError("unsupported-opset", `opset ${opset ?? "missing"}; supported are ${range}`, where, remedy);
  }
}

function decodeGraph(proto: GraphProto, file: string, folder: string | undefined): Graph {
  if (proto.sparseInitializer?.length) {
    const tensor = proto.sparseInitializer[0]?.values?.name || undefined;
    const remedy = "Export the model with dense weights.";
    throw new LongConvError("invalid-graph", "sparse initializers are not supported", { file, tensor }, remedy);
  }
  const initializers = new Map<string, Initializer>();
  for (const tensor of proto.initializer ?? []) {
    const name = tensor.name ?? "";
    if (initializers.has(name)) {
      throw new LongConvError("invalid-graph", "two initializers of one name", { file, tensor: name });
    }
    const external = isExternal(tensor) ? locateExternal(tensor, file, folder) : undefined;
    initializers.set(name, initializerFromProto(tensor, external));
  }
  const inputs = (proto.input ?? []).map(valueInfoFromProto).filter((info) => !initializers.has(info.name));
  const outputs = (proto.output ?? []).map(valueInfoFromProto);
  const given = [...initializers.keys(), ...inputs.map((info) => info.name)];
  const names = outputs.map((info) => info.name);
  return { inputs, outputs, initializers, nodes: topological(decodeNodes(proto.node ?? [], file), given, names, file) };
}

/** Decodes nodes; a node without a name, or with a name that an earlier one has, gets one of its own. */
export function decodeNodes(protos: readonly NodeProto[], file: string): Node[] {
  const taken = new Set(protos.map((proto) => proto.name ?? ""));
  const used = new Set<string>();
  return protos.map((proto, index) => {
    let name = proto.name || `${proto.opType}_${index}`;
    const mine = proto.name && !used.has(name);
    for (let count = 1; !mine && taken.has(name); count++) name = `${proto.name || proto.opType}_${index}_${count}`;
    taken.add(name);
    used.add(name);
    try {
      refuseBodiless(proto);
      return { ...nodeFromProto(proto, name), name };
    } catch (cause) {
      if (!(cause instanceof LongConvError)) throw cause;
      const node: Node = { name, op: proto.opType ?? "", domain: "", inputs: [], outputs: [], attributes: {}, proto };
      throw new LongConvError(cause.code, `attribute: ${cause.reason}`, whereOf({ file }, node), cause.remedy, cause);
    }
  });
}

/** Graphs that operators of control flow run: without one there is nothing to follow, or to run. */
const BODIES: Readonly<Record<string, readonly string[]>> = {
  Loop: ["body"],
  Scan: ["body"],
  If: ["then_branch", "else_branch"],
};

function refuseBodiless({ opType, domain, attribute }: NodeProto): void {
  const bodies = (standardDomain(domain) === "" && BODIES[opType ?? ""]) || [];
  const missing = bodies.find((body) => !attribute?.some(({ name, g }) => name === body && g));
  if (missing) throw new LongConvError("invalid-graph", `'${missing}' is missing, the graph that the node runs`, {});
}

// Tensors in attributes and in subgraphs may be external too; they are few and small, so they are read at once.
function loadInnerTensors(
  nodes: readonly NodeProto[] | null | undefined,
  file: string,
  folder: string | undefined,
): void {
  const load = (tensor: TensorProto) => {
    if (!isExternal(tensor)) return;
    tensor.rawData = readExternal(locateExternal(tensor, file, folder));
    delete tensor.dataLocation;
    tensor.externalData = [];
  };
  for (const attribute of (nodes ?? []).flatMap((node) => node.attribute ?? [])) {
    for (const tensor of [...(attribute.t ? [attribute.t] : []), ...(attribute.tensors ?? [])]) load(tensor);
    for (const graph of subgraphsOf(attribute)) {
      graph.initializer?.forEach(load);
      loadInnerTensors(graph.node, file, folder);
    }
  }
}
