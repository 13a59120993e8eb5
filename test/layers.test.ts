/** Which folder may import which, and that neither folders nor files import each other in a circle. Prints the line that broke it. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/**
 * By folder, the folders that it may import, all of them further up: data flows one way. `converter` itself is the walks of a model, and
 * `runtime` itself what its entry points export.
 */
const MAY_IMPORT: Readonly<Record<string, string>> = {
  "converter/graph": "src",
  "converter/solve": "src",
  "runtime/sampling": "src",
  "runtime/sessions": "src",
  "runtime/text": "src",
  "src/process": "src",
  "converter/certify": "converter/solve",
  "converter/lift/rows": "converter/graph src",
  "converter/lower": "converter/graph converter/solve src",
  "converter/place": "src src/process",
  "converter/reduce": "converter/solve src",
  "converter/time/facts": "converter/graph src",
  "runtime/constrain": "runtime/sampling runtime/text src",
  "runtime/sessions/capture": "runtime/sessions src",
  "runtime/model": "runtime/sampling runtime/sessions runtime/sessions/capture runtime/text src",
  "runtime/node/apart": "runtime/sessions src src/process",
  "runtime/node/direct": "runtime/sessions src",
  "converter/file": "converter/graph converter/place src",
  "converter/prove/values": "converter/graph converter/time/facts",
  "converter/time/rules": "converter/graph converter/time/facts src",
  "runtime/kept": "runtime/model runtime/sessions src",
  "runtime/speculate": "runtime/model runtime/sampling runtime/sessions src",
  "runtime/web": "runtime/model runtime/sessions runtime/sessions/capture src",
  "converter/shapes": "converter/graph",
  "converter/apart": "converter/file converter/graph src/process",
  "converter/bound": "converter/file converter/graph converter/shapes src",
  "converter/lift": "converter/file converter/graph converter/lift/rows converter/shapes",
  "converter/loop": "converter/file converter/graph converter/shapes src",
  "converter/ort": "converter/file converter/graph src",
  "converter/rename": "converter/file converter/graph src",
  "runtime/generate": "runtime/kept runtime/model runtime/sampling runtime/speculate runtime/text src",
  "runtime/node":
    "runtime/kept runtime/model runtime/node/apart runtime/node/direct runtime/sessions runtime/sessions/capture runtime/text src src/process",
  "converter/batch": "converter/graph converter/ort",
  "converter/expand": "converter/file converter/graph converter/ort converter/shapes src",
  "converter/prove/rules": "converter/graph converter/ort converter/prove/values converter/time/facts",
  "converter/time": "converter/graph converter/ort converter/time/facts converter/time/rules src",
  "runtime/generate/batch": "runtime/generate runtime/model src",
  "converter/parts":
    "converter/file converter/graph converter/ort converter/time converter/time/facts converter/time/rules src",
  "converter/prove":
    "converter/graph converter/prove/rules converter/prove/values converter/time converter/time/facts converter/time/rules src",
  "runtime/generate/search": "runtime/generate runtime/generate/batch runtime/kept runtime/model runtime/text src",
  "converter/find":
    "converter/bound converter/graph converter/lower converter/ort converter/parts converter/prove converter/solve converter/time converter/time/facts converter/time/rules src",
  runtime:
    "runtime/constrain runtime/generate runtime/generate/batch runtime/generate/search runtime/kept runtime/model runtime/node runtime/sampling runtime/sessions runtime/sessions/capture runtime/speculate runtime/text runtime/web src src/process",
  "converter/assemble":
    "converter/find converter/graph converter/lower converter/ort converter/parts converter/time converter/time/facts src",
  "converter/budget": "converter/find converter/graph converter/ort converter/parts converter/time/facts src",
  "converter/choose": "converter/certify converter/find converter/reduce converter/solve src src/process",
  "converter/compare": "converter/find converter/graph converter/ort converter/parts converter/time/facts src",
  "converter/picture":
    "converter/certify converter/find converter/graph converter/solve converter/time converter/time/facts src",
  "converter/states/convolution": "converter/find converter/graph converter/lower converter/parts converter/solve",
  "converter/states/recurrent":
    "converter/find converter/graph converter/time converter/time/facts converter/time/rules src",
  "converter/states/rows":
    "converter/find converter/graph converter/ort converter/parts converter/time converter/time/facts converter/time/rules src",
  "converter/states/scan":
    "converter/find converter/graph converter/lower converter/parts converter/time converter/time/facts converter/time/rules src",
  "src/serve": "runtime src",
  "src/serve/page": "runtime src",
  "converter/contract": "converter/graph src",
  "converter/states/counter": "converter/assemble converter/find converter/graph src",
  "converter/states/length": "converter/find converter/graph",
  "converter/floor":
    "converter/assemble converter/find converter/graph converter/states/convolution converter/states/counter",
  "converter/output": "converter/assemble converter/compare converter/file converter/graph converter/place src",
  "converter/states/attention":
    "converter/find converter/graph converter/ort converter/parts converter/prove converter/states/rows converter/time converter/time/facts converter/time/rules src",
  "converter/states/late": "converter/find converter/graph converter/states/rows converter/time",
  "converter/states/meeting":
    "converter/find converter/graph converter/states/rows converter/time converter/time/facts",
  "converter/states/product":
    "converter/find converter/graph converter/parts converter/states/rows converter/time converter/time/facts",
  "converter/states/sum":
    "converter/find converter/graph converter/lower converter/parts converter/states/rows converter/time converter/time/facts",
  "converter/states/total":
    "converter/find converter/graph converter/parts converter/states/rows converter/time converter/time/facts",
  "converter/verify": "converter/compare converter/find converter/graph converter/ort converter/parts src",
  "converter/weights":
    "converter/compare converter/file converter/find converter/graph converter/ort converter/parts src",
  "converter/deploy": "converter/file converter/graph converter/output src",
  "converter/states":
    "converter/find converter/states/attention converter/states/late converter/states/meeting converter/states/product converter/states/recurrent converter/states/rows converter/states/scan converter/states/sum converter/states/total",
  converter:
    "converter/apart converter/assemble converter/batch converter/bound converter/budget converter/certify converter/choose converter/compare converter/contract converter/deploy converter/expand converter/file converter/find converter/graph converter/lift converter/loop converter/ort converter/output converter/parts converter/reduce converter/solve converter/states converter/states/convolution converter/states/counter converter/states/length converter/time converter/time/facts converter/verify converter/weights src src/process",
  "src/bench":
    "converter converter/expand converter/file converter/find converter/floor converter/graph converter/lift converter/ort converter/parts runtime/node runtime/sessions src src/process",
  "src/cli":
    "converter converter/assemble converter/choose converter/contract converter/deploy converter/file converter/find converter/graph converter/output converter/picture converter/place converter/reduce converter/rename converter/verify converter/weights runtime runtime/node runtime/sessions src src/bench src/process src/serve",
};

const PROJECT = fileURLToPath(new URL("..", import.meta.url));

interface Import {
  readonly from: string;
  readonly to: string;
  readonly line: number;
}

const files = ["src", "converter", "runtime"].flatMap((room) =>
  readdirSync(path.join(PROJECT, room), { recursive: true, encoding: "utf8" })
    .filter((file) => /(?<!\.test)\.ts$/.test(file))
    .map((file) => path.posix.join(room, file)),
);

const imports: readonly Import[] = files.flatMap((from) => {
  const text = readFileSync(path.join(PROJECT, from), "utf8");
  return [...text.matchAll(/\b(?:from|import)\s*\(?"(\.[^"]+)"/g)].map(({ 1: to, index }) => ({
    from,
    to: path.posix.join(path.posix.dirname(from), to!),
    line: text.slice(0, index).split("\n").length,
  }));
});

test("every folder imports only what it may", () => {
  const room = (file: string) => path.posix.dirname(file);
  const broken = imports
    .filter(({ from, to }) => room(from) !== room(to))
    .filter(({ from, to }) => !MAY_IMPORT[room(from)]?.split(" ").includes(room(to)))
    .map(({ from, to, line }) => `${from}:${line} imports ${to}`);
  expect(imports.length).toBeGreaterThan(500);
  expect(broken).toEqual([]);
});

test("no folders import each other: each imports what stands above it in the table", () => {
  const order = Object.keys(MAY_IMPORT);
  const back = order.flatMap((room, at) =>
    MAY_IMPORT[room]!.split(" ")
      .filter((other) => order.indexOf(other) >= at)
      .map((other) => `${room} imports ${other}`),
  );
  expect(back).toEqual([]);
});

test("no files import each other in a circle", () => {
  const read = new Map(files.map((file) => [file, imports.filter(({ from }) => from === file)]));
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, way: readonly string[]) => {
    if (way.includes(file)) circles.push([...way.slice(way.indexOf(file)), file].join(" -> "));
    if (way.includes(file) || done.has(file)) return;
    for (const { to } of read.get(file) ?? []) visit(to, [...way, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});
