/** `longconv-ssm inspect MODEL` */
import type { Command } from "commander";
import { describeLimit } from "../../converter/assemble/limit.ts";
import { DEFAULT_TOLERANCE } from "../../converter/choose/options.ts";
import { readModel } from "../../converter/file/read.ts";
import { type Inspected, inspectFile } from "../../converter/inspect.ts";
import type { InspectedLayer, Inspection, PositionCounter } from "../../converter/inspection.ts";
import { modelFileOf } from "../../converter/output/beside.ts";
import { percent } from "../../converter/picture/text.ts";
import { describeClaim } from "../contract.ts";
import { LongConvError } from "../errors.ts";
import { describeMissing } from "../missing.ts";
import { newCommand, withAction } from "./command.ts";
import { outputFile } from "./output-file.ts";
import { pageOf } from "./page.ts";
import { table } from "./table.ts";
import { byteSize, type Terminal } from "./terminal.ts";
import { checkTimeAxes, number, type TimeAxes, timeAxis } from "./values.ts";

interface Options {
  readonly html?: string;
  readonly tolerance?: number;
  readonly timeAxis?: TimeAxes;
  readonly force?: boolean;
  readonly sizes?: boolean;
}

/** The command's options and examples. */
export function inspectCommand(): Command {
  const command = newCommand(
    "inspect",
    "Show the long convolutions of a model, and what stands in the way of converting it.",
    [
      ["longconv-ssm inspect model.onnx", "what was found and where"],
      ["longconv-ssm inspect model.onnx --html kernels.html", "with a picture of each layer's kernel"],
      ["longconv-ssm inspect model.onnx --html kernels.html --tolerance 1e-3", "and of the forms for a larger error"],
      ["longconv-ssm inspect model.onnx --json", "the same for machines; `convertible` says whether convert can start"],
    ],
  )
    .argument("<model>", "exported model: a .onnx file, or a folder with onnx/model.onnx or model.onnx")
    .option(
      "--html <file>",
      "write a page: each layer's kernel, the form that convert would choose, state against error, and the numbers to take away",
    )
    .option(
      "--tolerance <error>",
      `of the page: relative error of a layer's kernels that compact states may have (default: ${DEFAULT_TOLERANCE})`,
      number({ above: 0 }),
    )
    .option("--time-axis <name=axis>", "time axis of an input, where the default is wrong; may be repeated", timeAxis)
    .option(
      "--sizes",
      "choose the forms of convolutions too, as the page does: the size of the whole state, in the time of convert",
    )
    .option("--force", "replace an existing page");
  return withAction(command, run);
}

async function run(terminal: Terminal, given: string, options: Options): Promise<void> {
  const file = modelFileOf(given);
  const { html, force, tolerance = DEFAULT_TOLERANCE } = options;
  if (options.tolerance !== undefined && html === undefined)
    throw new LongConvError("usage", "--tolerance is about the page of --html");
  const page = html === undefined ? undefined : await outputFile(html, { models: [file], force });
  terminal.progress("reading the model", 0, undefined);
  if (options.timeAxis) checkTimeAxes(options.timeAxis, await readModel(file));
  const inspected = await inspectFile(file, {
    timeAxis: options.timeAxis,
    sizes: options.sizes ?? html !== undefined,
    tolerance,
    onProgress: (step, done, total) => terminal.progress(step, done, total),
  });
  await page?.write(await drawn(terminal, inspected, tolerance));
  terminal.print(reportOf(inspected.inspection));
  terminal.result({ ...inspected.inspection, html });
}

function reportOf(inspection: Inspection): string {
  const { file, opset, irVersion, nodes, weightBytes, inputs, outputs } = inspection;
  const { layers, states, timeBecause, batchAdded, missing = {}, counter, refusals, trainingLength } = inspection;
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
  } else if (states.some(({ form }) => form !== "counter")) lines.push("No long convolution.");
  else if (refusals.length > 0) lines.push("No long convolution was found; the closest candidates are below.");
  else if (counter) lines.push("No long convolution: every operator works position by position, given the position.");
  else lines.push("No long convolution: every operator works position by position.");
  if (states.length > 0) lines.push("", ...stateLines(inspection));
  if (batchAdded) lines.push("", "batch     none: converted, every input and output has one in front");
  if (timeBecause) lines.push("", `time      ${timeBecause}; --time-axis says otherwise`);
  for (const which of describeMissing(missing))
    lines.push("", `missing   ${which}: the converted model's mean nothing`);
  if (counter) lines.push(counterLine(counter));
  lines.push(...claimsOf(layers));
  if (refusals.length > 0) {
    lines.push("", "In the way of running token by token:");
    for (const { code, node, operator, source, reason, remedy } of refusals) {
      lines.push(`  node '${node}' (${operator})${source ? `, ${source}` : ""}: ${reason} [${code}]`);
      if (remedy) lines.push(`    ${remedy}`);
    }
  } else if (layers.length > 0 || states.length > 0 || counter)
    lines.push("", "Nothing stands in the way of converting it.");
  return lines.join("\n");
}

/** Every part of the state, with what it carries and how much of the whole that is. */
function stateLines({ states, stateBytes, positionBytes, convertible }: Inspection): string[] {
  const heading = ["state", "node", "operator", "kind", "numbers", "size", "share", "source"];
  const rows = states.map(({ node, operator, kind, dims, bytes, positionBytes: growth, share, source }, i) => [
    String(i),
    node,
    operator,
    kind,
    `${dims.join(" × ")}${growth > 0 ? " a position" : ""}`,
    growth > 0 ? `${byteSize(growth)} a position` : byteSize(bytes),
    share === undefined ? "" : percent(share),
    source ?? "",
  ]);
  const whole =
    stateBytes === undefined
      ? convertible
        ? ["in all    known once the forms of the convolutions are chosen: --sizes"]
        : []
      : [
          `in all    ${byteSize(stateBytes)} for each sequence${positionBytes ? `, and ${byteSize(positionBytes)} for each position that it has read` : ""}`,
        ];
  const what =
    stateBytes === undefined
      ? `kept operator${states.length === 1 ? "" : "s"} with a state`
      : `part${states.length === 1 ? "" : "s"} of the state`;
  return [`${states.length} ${what}:`, table([heading, ...rows]), ...whole];
}

/** What is known by rule, and what is not. */
function claimsOf(layers: readonly InspectedLayer[]): string[] {
  if (layers.length === 0) return [];
  const others = layers.filter(({ claim }) => claim.kind !== "proven" || claim.positions !== undefined);
  const proven = layers.length - others.length;
  return [
    "",
    `claim     ${proven === layers.length ? "all are" : `${proven} of ${layers.length} are`} convolutions by rule, at any length and batch size`,
    ...others.map((layer) => `          layer ${layers.indexOf(layer)}: ${describeClaim(layer.claim)}`),
  ];
}

function counterLine({ nodes, limit }: PositionCounter): string {
  const more = nodes.length > 1 ? ` and ${nodes.length - 1} more` : "";
  const end = limit ? `; the model reads ${describeLimit(limit)}` : "";
  return `A counter of positions is carried for '${nodes[0]}'${more}${end}.`;
}

function lagsOf({ lags, ends, maxLags, end }: InspectedLayer): string {
  if (lags !== undefined) return ends ? `ends after ${lags}` : `dies away after ${lags}`;
  return maxLags === undefined ? `lives on` : `${maxLags} (${end})`;
}

/** What was found, with the forms that `convert` would choose. */
const drawn = (terminal: Terminal, { inspection, found, candidates, planned }: Inspected, tolerance: number) =>
  pageOf(terminal, {
    ...{ file: inspection.file, found, candidates, tolerance, states: inspection.states },
    forms: planned.flatMap(({ solved }) => (solved ? [solved.chosen] : [])),
  });
