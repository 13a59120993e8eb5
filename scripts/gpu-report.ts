/**
 * What a converted model costs on the GPU of this machine, by WebGPU in Node and in Chromium: decode step, with graph
 * capture and without, prompt, batches, memory. A rasteriser in software is called so; what is missing is said.
 *
 *     node dist/scripts/gpu-report.js [MODEL] [--json] [--minutes 9] [--software]
 *
 * MODEL is a folder that `convert --step-file` wrote, or an exported model, which is converted first. It ends within
 * `--minutes` (and half a minute for a call that hangs). `--software` tries it on SwiftShader, where there is no GPU.
 * Exit code 1: nothing could be measured.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { convert } from "../converter/convert.ts";
import { lookBeside } from "../converter/output/beside.ts";
import { writeOutput } from "../converter/output/output.ts";
import { targetOf } from "../converter/output/target.ts";
import { ratioOf, thisMachine } from "../src/bench/measure.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { nodePlace } from "./gpu/node-place.ts";
import { pagePlace } from "./gpu/page-place.ts";
import { nvidiaCard, type Place, until } from "./gpu/place.ts";
import { type Found, measureRows, openModels, type Row } from "./gpu/rows.ts";
import { ROOT } from "./root.ts";

const { values, positionals } = readArguments(
  "gpu-report [MODEL] [--json] [--minutes N] [--rounds N] [--prompt TOKENS] [--most SEQUENCES] [--software]",
  {
    json: { type: "boolean", default: false },
    minutes: { type: "string", default: "9" },
    rounds: { type: "string", default: "30" },
    prompt: { type: "string", default: "512" },
    most: { type: "string", default: "64" },
    software: { type: "boolean", default: false },
  },
  { most: 1 },
);
const [model = path.join(ROOT, "test/models/demo/model.onnx")] = positionals;
const number = (name: "minutes" | "rounds" | "prompt" | "most") => wholeNumber(`--${name}`, values[name]);
const amount = { rounds: number("rounds"), prompt: number("prompt"), most: number("most") };
const end = Date.now() + number("minutes") * 60_000;
/** A browser that has hung is not waited for longer. */
const CLOSING_MS = 10_000;
const say = values.json ? console.error : console.log;

const temporary = model.endsWith(".onnx") ? await mkdtemp(path.join(tmpdir(), "longconv-gpu-")) : undefined;
try {
  const folder = temporary ? await converted(path.join(temporary, "model")) : model;
  const machine = { ...thisMachine(), card: nvidiaCard() };
  say(
    `${machine.card ?? "No card that nvidia-smi knows"}; ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}`,
  );
  const half = Date.now() + (end - Date.now()) / 2;
  const inNode = await report("Node", async () => nodePlace(folder, values.software), half);
  const inPage = await report("Chromium", () => pagePlace(folder, values.software), end);
  const places = [inNode, inPage];
  if (values.json) console.log(JSON.stringify({ model, ...amount, machine, places }, null, 2));
  if (places.every(({ rows }) => rows.length === 0)) process.exitCode = 1;
} finally {
  if (temporary) await rm(temporary, { recursive: true });
}

async function converted(folder: string): Promise<string> {
  const conversion = await convert(model, { stepFile: true });
  await writeOutput(conversion.model, await lookBeside(model), targetOf(folder), { step: conversion.step });
  return folder;
}

/** Measures one place, and says what comes of it; what is missing or fails is said too. */
async function report(name: string, begin: () => Promise<Place>, end: number) {
  const found: Found = { rows: [], left: [] };
  const begun = begin();
  let about: object = { place: name };
  try {
    const place = await until(end, begun, `starting ${name}`);
    const { captured, ...opened } = await openModels(place, end);
    const adapter = await place.adapter();
    about = { place: place.name, adapter, ...opened };
    say(`\n${place.name}, ${opened.backends.join(" and ")}`);
    say(`Adapter: ${adapter.name}${adapter.isSoftware ? " (SOFTWARE: on the CPU, says nothing of a GPU)" : ""}`);
    for (const remark of opened.remarks) say(remark);
    await measureRows(place, { ...amount, captured, end }, found, (row) => say(lineOf(row)));
  } catch (error) {
    // without the browser's whole command line
    const ended = (error as Error).message.split("\nBrowser logs:")[0]!;
    say(`\n${name}: ${found.rows.length === 0 ? "not measured" : "ended early"}: ${ended}`);
    about = { ...about, ended };
  } finally {
    const closed = begun.then((place) => place.close());
    await until(Date.now() + CLOSING_MS, closed, "closing").catch(() => {});
  }
  const [on, off] = [true, false].map((each) => found.rows.find((row) => row.graphCapture === each));
  const captureRatio = on && off && ratioOf(off, on);
  if (captureRatio) {
    const { ratio, low, high } = captureRatio;
    say(`Without graph capture over with: ${spreadOf(ratio, low, high)}`);
  }
  if (found.left.length > 0) say(`Left out: ${found.left.join("; ")}`);
  return { ...about, ...found, captureRatio };
}

function spreadOf(middle: number, low: number, high: number): string {
  return `${middle.toPrecision(4)} (${low.toPrecision(4)}–${high.toPrecision(4)})`;
}

/** Median and quartiles, the whole range, tokens per second of all sequences, and memory. */
function lineOf({ name, kind, batch, ms, low, high, least, most, rounds, buffers, cardMiB }: Row): string {
  const tokens = kind === "step" ? batch : amount.prompt;
  const memory = [
    buffers && `${buffers.count} GPU buffers, ${(buffers.bytes / 1e6).toFixed(3)} MB`,
    cardMiB !== undefined && `${cardMiB} MiB taken on the card`,
  ].filter(Boolean);
  const range = `${least.toPrecision(4)} to ${most.toPrecision(4)} in ${rounds} round${rounds === 1 ? "" : "s"}`;
  const speed = `${((1000 * tokens) / ms).toPrecision(4)} tokens/s`;
  return [`${name}: ${spreadOf(ms, low, high)} ms, ${range}`, speed, ...memory].join("; ");
}
