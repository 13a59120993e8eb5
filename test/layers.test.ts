/** Which folder may import which, and that no files import each other in a circle. Prints the line that broke it. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** By folder, the folders that it may import: data flows one way through them. `converter` itself is the walk, and its values. */
const MAY_IMPORT: Readonly<Record<string, string>> = {
  converter:
    "converter/apart converter/assemble converter/certify converter/check converter/deploy converter/expand converter/find converter/lift converter/loop converter/onnx converter/output converter/reduce converter/rename converter/solve converter/states converter/states/convolution converter/time converter/verify converter/weights src src/process",
  "converter/assemble": "converter converter/find converter/lower converter/onnx converter/time src",
  "converter/bound": "converter/onnx src",
  "converter/certify": "converter converter/reduce converter/solve src src/process",
  "converter/check": "converter/find converter/onnx converter/time src",
  "converter/deploy": "converter/assemble converter/find converter/onnx converter/output src",
  "converter/files": "src src/process",
  "converter/find":
    "converter converter/bound converter/lower converter/onnx converter/prove converter/time converter/time/rules src",
  "converter/floor": "converter/assemble converter/find converter/onnx converter/states/convolution converter/weights",
  "converter/lower": "converter converter/onnx converter/solve src",
  "converter/onnx": "converter/files src",
  "converter/output": "converter/assemble converter/files converter/find converter/onnx src",
  "converter/picture": "converter converter/certify converter/find converter/onnx converter/solve converter/time src",
  "converter/prove": "converter/onnx converter/prove/rules converter/time converter/time/rules src",
  "converter/prove/rules": "converter/onnx converter/prove converter/time",
  "converter/reduce": "converter converter/solve src",
  "converter/solve": "converter src",
  "converter/time": "converter/onnx converter/time/rules src",
  "converter/time/rules": "converter/onnx converter/time src",
  "converter/verify":
    "converter converter/apart converter/check converter/find converter/lift converter/onnx converter/time src src/process",
  "converter/weights": "converter/check converter/find converter/onnx src",
  runtime: "runtime/batching runtime/capture runtime/node-apart runtime/node-direct runtime/sampling src",
  "runtime/batching": "runtime",
  "runtime/capture": "runtime src",
  "runtime/node-direct": "runtime src",
  "runtime/sampling": "runtime src",
  "src/bench": "converter converter/check converter/find converter/floor converter/lift converter/onnx runtime src",
  "src/cli":
    "converter converter/assemble converter/deploy converter/files converter/find converter/onnx converter/output converter/picture converter/reduce converter/rename converter/verify converter/weights runtime src src/bench src/process",
  "src/process": "src",
  "converter/states":
    "converter/find converter/onnx converter/states/attention converter/states/meeting converter/states/product converter/states/recurrent converter/states/rows converter/states/scan converter/states/sum converter/states/total converter/time src",
  "converter/states/attention":
    "converter/find converter/onnx converter/states converter/time converter/time/rules src",
  "converter/states/convolution": "converter converter/find converter/lower converter/onnx",
  "converter/states/meeting": "converter/find converter/onnx converter/states/rows converter/time",
  "converter/states/product": "converter/find converter/onnx converter/states converter/states/rows converter/time src",
  "converter/states/recurrent":
    "converter/find converter/onnx converter/states converter/time converter/time/rules src",
  "converter/states/rows": "converter/find converter/onnx converter/states converter/time converter/time/rules src",
  "converter/states/scan": "converter/find converter/onnx converter/states converter/time converter/time/rules src",
  "converter/states/sum": "converter/find converter/onnx converter/states converter/states/rows converter/time src",
  "converter/apart": "converter converter/onnx converter/verify src/process",
  "converter/expand": "converter/onnx",
  "converter/lift": "converter/lift/rows converter/onnx src",
  "converter/loop": "converter/onnx src",
  "converter/lift/rows": "converter/lift converter/onnx",
  "converter/states/total": "converter/find converter/onnx converter/states converter/states/rows converter/time src",
  "runtime/node-apart": "runtime src src/process",
  "converter/rename": "converter/onnx src",
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
