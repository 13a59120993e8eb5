/** Inlines model-local functions, nested ones as well, and gives LongConv nodes without a body one of ours. */

import { LongConvError } from "../../src/errors.ts";
import { functionKey } from "../../src/function-sizes.ts";
import { decodeNodes, opsetsOf } from "../file/read.ts";
import { type Builder, createBuilder, namesOf } from "../graph/build.ts";
import { type Model, whereOf } from "../graph/graph.ts";
import { addLongConv, LONGCONV_DOMAIN, LONGCONV_OP } from "../graph/longconv.ts";
import { mapSubgraphs, nodeFromProto, standardDomain } from "../graph/node.ts";
import { changedBetween } from "../graph/opsets.ts";
import { topological } from "../graph/order.ts";
import type { AttributeProto, FunctionProto, NodeProto, StringStringEntryProto } from "../graph/proto.ts";
import { withFields } from "../graph/schema.ts";
import { calledBy, type Functions, refuseExpansion } from "./functions.ts";
import { renamed } from "./renamed.ts";

const LONGEST_PREFIX = 256;

interface Context {
  readonly file: string;
  readonly functions: Functions;
  /** Gives fresh names and collects the constants of LongConv bodies. */
  readonly builder: Builder;
  readonly opsets: Map<string, number>;
}

/**
 * The model without model-local functions and without LongConv nodes: every call is replaced by the function's nodes,
 * under fresh names and with the calling node's metadata. Inner nodes of a call `c` are named `c/…`.
 * @param kept functions that are left as they are, by domain and name: `domain::Name`
 * @throws LongConvError `invalid-graph` for a function that calls itself, `too-large` for more nodes than a model has,
 *   `unsupported-opset` where a function was
 *   written for another opset and uses an operator that changed between the two, `unsupported-layout` for a LongConv
 *   node with attributes or without its two inputs
 */
export function inlineFunctions(model: Model, kept: ReadonlySet<string> = new Set()): Model {
  const functions = new Map<string, FunctionProto>();
  const isKept = ({ domain, name }: FunctionProto) => kept.has(`${standardDomain(domain)}::${name}`);
  const all = model.proto.functions ?? [];
  for (const each of all) if (!isKept(each)) functions.set(functionKey(each.domain, each.name, each.overload), each);
  const calls = (node: { domain: string; op: string }) => node.domain === LONGCONV_DOMAIN && node.op === LONGCONV_OP;
  if (!functions.size && !model.graph.nodes.some(calls)) return model;
  const builder = createBuilder(model.opsets.get("") ?? 0, namesOf(model.graph));
  const context: Context = { file: model.file, functions, builder, opsets: new Map(model.opsets) };

  const protos = model.graph.nodes.map((node) =>
    node.proto.name ? node.proto : withFields(node.proto, { name: node.name }),
  );
  refuseExpansion(protos, functions, model.file);
  const nodes = decodeNodes(expand(protos, context), model.file);
  const initializers = new Map([...model.graph.initializers, ...builder.initializers]);
  const given = [...initializers.keys(), ...model.graph.inputs.map((info) => info.name)];
  const outputs = model.graph.outputs.map((info) => info.name);
  const used = new Set(nodes.map((node) => node.domain));
  for (const domain of [LONGCONV_DOMAIN, ...Array.from(functions.values(), (each) => standardDomain(each.domain))])
    if (domain !== "" && !used.has(domain)) context.opsets.delete(domain);
  return {
    ...model,
    opsets: context.opsets,
    graph: { ...model.graph, initializers, nodes: topological(nodes, given, outputs, model.file) },
    // what a kept one calls stays with it
    proto: withFields(model.proto, { functions: all.some(isKept) ? all : [] }),
  };
}

/** Calls are replaced until none is left; {@link refuseExpansion} has seen that this ends. */
function expand(protos: readonly NodeProto[], context: Context): NodeProto[] {
  const expanded: NodeProto[] = [];
  // By a list: functions can call one another deeper than the call stack.
  const waiting = [...protos].reverse();
  for (let proto = waiting.pop(); proto; proto = waiting.pop()) {
    const key = calledBy(proto, context.functions);
    if (key !== undefined) {
      const inner = instantiate(context.functions.get(key)!, proto, context);
      for (let i = inner.length - 1; i >= 0; i--) waiting.push(inner[i]!);
    } else if (proto.domain === LONGCONV_DOMAIN && proto.opType === LONGCONV_OP)
      expanded.push(...longConvBody(proto, context));
    else expanded.push(mapSubgraphs(proto, (graph) => withFields(graph, { node: expand(graph.node ?? [], context) })));
  }
  return expanded;
}

function refusal(code: "unsupported-opset" | "unsupported-layout", reason: string, call: NodeProto, { file }: Context) {
  return new LongConvError(code, reason, whereOf({ file }, nodeFromProto(call, "")));
}

function longConvBody(call: NodeProto, context: Context): NodeProto[] {
  const [x, kernel] = call.input ?? [];
  const [y] = call.output ?? [];
  if (!x || !kernel || !y || call.input!.length > 2 || call.output!.length > 1 || call.attribute?.length) {
    const reason = "LongConv takes x [batch, n, channels] and kernel [n, channels], no attributes, and gives y";
    throw refusal("unsupported-layout", reason, call, context);
  }
  const before = context.builder.nodes.length;
  context.builder.from(nodeFromProto(call, ""));
  addLongConv(context.builder, x, kernel, y);
  context.builder.from(undefined);
  return context.builder.nodes
    .slice(before)
    .map((node) => withFields(node.proto, { name: `${call.name}/${node.name}` }));
}

function instantiate(body: FunctionProto, call: NodeProto, context: Context): NodeProto[] {
  mergeOpsets(body, call, context);
  const { builder } = context;
  // Each level adds to it.
  const prefix = (call.name || call.opType || "").slice(-LONGEST_PREFIX);
  const names = new Map<string, string>([["", ""]]);
  for (const [index, name] of (body.input ?? []).entries()) names.set(name, call.input?.[index] ?? "");
  // An output that is also an input, or that the call takes twice, is passed on by an Identity.
  const passed: NodeProto[] = [];
  body.output?.forEach((name, index) => {
    const wanted = call.output?.[index];
    if (!wanted) return;
    if (!names.has(name)) names.set(name, wanted);
    else {
      const from = names.get(name)!;
      passed.push({ name: builder.name(`${prefix}/${name}`), opType: "Identity", input: [from], output: [wanted] });
    }
  });
  const attributes = new Map<string, AttributeProto>();
  for (const each of [...(body.attributeProto ?? []), ...(call.attribute ?? [])]) attributes.set(each.name ?? "", each);
  const nodes = (body.node ?? []).map((node) => renamed(node, names, attributes, prefix, builder));
  return [...nodes, ...passed].map((node) => withFields(node, { metadataProps: mergedMetadata(call, node) }));
}

// What the calling node says of its place goes before what the body says of its own.
function mergedMetadata(call: NodeProto, inner: NodeProto): StringStringEntryProto[] {
  const own = new Set(call.metadataProps?.map((entry) => entry.key));
  return [...(call.metadataProps ?? []), ...(inner.metadataProps ?? []).filter((entry) => !own.has(entry.key))];
}

function mergeOpsets(body: FunctionProto, call: NodeProto, context: Context): void {
  for (const [domain, version] of opsetsOf(body.opsetImport)) {
    const own = context.opsets.get(domain);
    if (own === undefined) context.opsets.set(domain, version);
    if (own === undefined || own === version) continue;
    const inDomain = (body.node ?? []).filter((node) => standardDomain(node.domain) === domain);
    const calls = (node: NodeProto) => calledBy(node, context.functions) !== undefined;
    const changed = inDomain.find(
      (node) => !calls(node) && (domain !== "" || changedBetween(node.opType ?? "", own, version)),
    );
    if (!changed) continue;
    const reason = `function ${body.name} is written for opset ${version} of '${domain || "ai.onnx"}', the model for ${own}, and ${changed.opType} differs`;
    throw refusal("unsupported-opset", reason, call, context);
  }
}
