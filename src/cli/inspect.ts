/** `longconv-ssm inspect MODEL` */
import type { Command } from "commander";
import { describeLimit, type PositionLimit, positionLimit } from "../../converter/assemble/limit.ts";
import { evaluateTables } from "../../converter/assemble/tables.ts";
import { chooseForms } from "../../converter/choose.ts";
import { extentOf } from "../../converter/extent.ts";
import { type Candidate, candidatesOf } from "../../converter/find/candidates.ts";
import { type Found, findConvolutions, isConvertible } from "../../converter/find/find.ts";
import { type KernelEnd, type KernelSource, LOOKED_AT_LAGS } from "../../converter/find/kernel.ts";
import type { Region } from "../../converter/find/region.ts";
import { initializerBytes } from "../../converter/onnx/encode.ts";
import { type Model, type Node, whereOf } from "../../converter/onnx/graph.ts";
import { inlineFunctions } from "../../converter/onnx/inline.ts";
import { readModel } from "../../converter/onnx/read.ts";
import { typeName } from "../../converter/onnx/tensor.ts";
import { lookBeside, modelFileOf } from "../../converter/output/beside.ts";
import type { LayerInput } from "../../converter/picture/table.ts";
import { describeLayout } from "../../converter/time/fact.ts";
import { type Claim, describeClaim, leastClaim } from "../contract.ts";
import { newCommand, withAction } from "./command.ts";
import { outputFile } from "./output-file.ts";
import { byteSize, type Terminal, table } from "./terminal.ts";
import { checkTimeAxes, type TimeAxes, timeAxis } from "./values.ts";

interface Options {
  readonly html?: string;
  readonly timeAxis?: TimeAxes;
  readonly force?: boolean;
}

/** The command's options and examples. */
export function inspectCommand(): Command {
  const command = newCommand(
    "inspect",
    "Show the long convolutions of a model, and what stands in the way of converting it.",
    [
      ["longconv-ssm inspect model.onnx", "what was found and where"],
      ["longconv-ssm inspect model.onnx --html kernels.html", "with a picture of each layer's kernel"],
      ["longconv-ssm inspect model.onnx --json", "the same for machines; `convertible` says whether convert can start"],
    ],
  )
    .argument("<model>", "exported model: a .onnx file, or a folder with onnx/model.onnx or model.onnx")
    .option("--html <file>", "write a page with a picture of each layer's kernel")
    .option("--time-axis <name=axis>", "time axis of an input, where the default is wrong; may be repeated", timeAxis)
    .option("--force", "replace an existing page");
  return withAction(command, run);
}

/** A convolution, for the report. */
interface Layer {
  readonly node: string;
  readonly operator: string;
  readonly source: string | undefined;
  readonly reason: string;
  readonly channels: number;
  readonly input: string;
  readonly output: string;
  /** Where the kernel is read. */
  readonly kernelFrom: string;
  /** Lags that the graph gives; undefined: any number. */
  readonly maxLags: number | undefined;
  /** What sets that number. */
  readonly end: KernelEnd | undefined;
  /** Lags until the kernel ends or has died away; undefined where it does neither within the lags looked at. */
  readonly lags: number | undefined;
  readonly ends: boolean;
  /** How far it is known to be this convolution, and its kernel to be known. */
  readonly claim: Claim;
  readonly bias: boolean;
}

/** What stands in the way, for the report. */
interface Obstacle {
  readonly code: string;
  readonly node: string;
  readonly operator: string;
  readonly source: string | undefined;
  readonly reason: string;
  readonly remedy: string | undefined;
}

async function run(terminal: Terminal, given: string, options: Options): Promise<void> {
  const file = modelFileOf(given);
  const { html, force } = options;
  const page = html === undefined ? undefined : await outputFile(html, { models: [file], force });
  const model = inlineFunctions(await readModel(file));
  checkTimeAxes(options.timeAxis, model);
  const trainingLength = (await lookBeside(file)).trainingLength?.positions;
  const found = await findConvolutions(model, {
    timeAxis: options.timeAxis,
    onProgress: (done) => terminal.progress("finding convolutions", done, undefined),
  });
  const { candidates, refusals } = await candidatesOf(found, undefined, (done, total) =>
    terminal.progress("reading kernels", done, total),
  );
  const layers: Layer[] = [];
  for (const { region, source } of candidates) layers.push(await layerOf(found, region, source));
  const obstacles = [...found.refusals, ...refusals].map((refusal) => obstacleOf(model, refusal));
  await page?.write(await pageOf(file, found, candidates, trainingLength, terminal));
  const counter = await counterOf(found);
  const convertible = obstacles.length === 0 && isConvertible(found);
  terminal.print(reportOf(model, file, { layers, counter, obstacles, trainingLength }));
  const read = { layers, counter, obstacles };
  terminal.result({ ...summaryOf(model, file), trainingLength, convertible, ...read, html });
}

/** A counter of positions is carried for these nodes. */
interface Counter {
  readonly nodes: readonly string[];
  /** Where a table of positions ends. */
  readonly limit: PositionLimit | undefined;
}

async function counterOf(found: Found): Promise<Counter | undefined> {
  const nodes = found.counter.uses.map(({ node }) => node.name);
  return nodes.length ? { nodes, limit: positionLimit(found, await evaluateTables(found)) } : undefined;
}

async function layerOf({ graphs: { model } }: Found, region: Region, source: KernelSource): Promise<Layer> {
  const { seen: kernels, finite, died, claim } = await extentOf(source, region);
  return {
    ...placeOf(model, region.opening),
    reason: region.reason,
    channels: region.channels,
    input: describeLayout(region.entry.axes),
    output: describeLayout(region.exit.axes),
    kernelFrom: source.tensor ?? "impulse response",
    maxLags: kernels.end && kernels.lags,
    end: kernels.end,
    lags: finite === undefined && died === kernels.lags ? undefined : died,
    claim: leastClaim([source.claim, claim]),
    ends: finite !== undefined,
    bias: region.bias !== undefined,
  };
}

function placeOf(model: Model, node: Node): { node: string; operator: string; source: string | undefined } {
  const { operator = node.op, source } = whereOf(model, node);
  return { node: node.name, operator, source };
}

const obstacleOf = (model: Model, { node, code, reason, remedy }: Found["refusals"][number]): Obstacle => ({
  code,
  ...placeOf(model, node),
  reason,
  remedy,
});

function summaryOf(model: Model, file: string) {
  const { inputs, outputs, nodes } = model.graph;
  const describe = ({ name, type, dims }: (typeof inputs)[number]) => ({
    name,
    type: typeName(type),
    dims: dims?.map((dim) => dim ?? "?"),
  });
  return {
    file,
    irVersion: model.irVersion,
    opset: model.opsets.get("") ?? 0,
    nodes: nodes.length,
    weightBytes: initializerBytes(model),
    inputs: inputs.map(describe),
    outputs: outputs.map(describe),
  };
}

/** What was found, for the report. */
interface Read {
  readonly layers: readonly Layer[];
  readonly counter: Counter | undefined;
  readonly obstacles: readonly Obstacle[];
  readonly trainingLength: number | undefined;
}

function reportOf(model: Model, file: string, { layers, counter, obstacles, trainingLength }: Read): string {
  const { opset, irVersion, nodes, weightBytes, inputs, outputs } = summaryOf(model, file);
  const values = (list: typeof inputs) =>
    list.map(({ name, type, dims }) => `${name} ${type} [${dims?.join(", ") ?? "?"}]`).join("; ");
  const lines = [
    `file      ${file}: opset ${opset}, IR ${irVersion}, ${nodes} nodes, ${byteSize(weightBytes)} of weights`,
    `inputs    ${values(inputs)}`,
    `outputs   ${values(outputs)}`,
    ...(trainingLength === undefined ? [] : [`trained   with ${trainingLength} positions`]),
    "",
  ];
  if (layers.length > 0) {
    const heading = ["layer", "node", "operator", "channels", "stream", "lags", "kernel read from", "source"];
    const rows = layers.map((layer, i) => [
      String(i),
      layer.node,
      layer.operator,
      String(layer.channels),
      layer.input === layer.output ? layer.input : `${layer.input} → ${layer.output}`,
      lagsOf(layer),
      layer.kernelFrom,
      layer.source ?? "",
    ]);
    lines.push(`${layers.length} long convolution${layers.length === 1 ? "" : "s"}:`, table([heading, ...rows]));
  } else if (obstacles.length > 0) lines.push("No long convolution was found; the closest candidates are below.");
  else if (counter) lines.push("No long convolution: every operator works position by position, given the position.");
  else lines.push("No long convolution: every operator works position by position.");
  if (counter) lines.push(counterLine(counter));
  lines.push(...claimsOf(layers));
  if (obstacles.length > 0) {
    lines.push("", "In the way of running token by token:");
    for (const { code, node, operator, source, reason, remedy } of obstacles) {
      lines.push(`  node '${node}' (${operator})${source ? `, ${source}` : ""}: ${reason} [${code}]`);
      if (remedy) lines.push(`    ${remedy}`);
    }
  } else if (layers.length > 0 || counter) lines.push("", "Nothing stands in the way of converting it.");
  return lines.join("\n");
}

/** What is known by rule, and what is not. */
function claimsOf(layers: readonly Layer[]): string[] {
  if (layers.length === 0) return [];
  const others = layers.filter(({ claim }) => claim.kind !== "proven");
  const proven = layers.length - others.length;
  return [
    "",
    `claim     ${proven === layers.length ? "all are" : `${proven} of ${layers.length} are`} convolutions by rule, at any length and batch size`,
    ...others.map((layer) => `          layer ${layers.indexOf(layer)}: ${describeClaim(layer.claim)}`),
  ];
}

function counterLine({ nodes, limit }: Counter): string {
  const more = nodes.length > 1 ? ` and ${nodes.length - 1} more` : "";
  const end = limit ? `; the model reads ${describeLimit(limit)}` : "";
  return `A counter of positions is carried for '${nodes[0]}'${more}${end}.`;
}

function lagsOf({ lags, ends, maxLags, end }: Layer): string {
  if (lags !== undefined) return ends ? `ends after ${lags}` : `dies away after ${lags}`;
  return maxLags === undefined ? `lives on` : `${maxLags} (${end})`;
}

/** The page shows kernels, and the forms that `convert` would choose by default, where it would convert the model. */
async function pageOf(
  title: string,
  found: Found,
  candidates: readonly Candidate[],
  trainingLength: number | undefined,
  terminal: Terminal,
): Promise<string> {
  const { htmlReport } = await import("../../converter/picture/report.ts");
  const forms =
    found.refusals.length > 0
      ? []
      : await chooseForms(candidates, { trainingLength }, (done, total) =>
          terminal.progress("choosing forms", done, total),
        );
  const layers: LayerInput[] = [];
  for (const [i, { region, source }] of candidates.entries()) {
    const chosen = forms[i];
    const lags = 2 * (chosen?.lags ?? LOOKED_AT_LAGS / 2);
    const singularValues = chosen?.reduction?.singularValues;
    layers.push({ ...chosen, region, kernels: await source.at(lags), singularValues });
  }
  return htmlReport({ title, found, layers });
}
