/** The command `serve`'s working process for scripts, which can be killed without its parent's help. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { convert } from "../converter/convert.ts";
import { writeModel } from "../converter/file/write.ts";
import { CHANNELS } from "../src/process/lifeline.ts";
import { ROOT } from "./root.ts";

/** A small model without a tokenizer. */
export const SMALL_MODEL = path.join(ROOT, "test", "models", "zoo", "tnn-time-second", "model.onnx");

/** Converts an exported model for a server, into `file`. */
export async function writeServed(model: string, file: string): Promise<void> {
  await writeModel((await convert(model, { exact: true, horizon: 64 })).model, file);
}

/** Collects what nobody refers to any more when it is signalled: resident memory goes up and down by a quarter between two collections. */
const COLLECTING = ["--expose-gc", "--import", 'data:text/javascript,process.on("SIGUSR2",()=>gc())'];

/** Bytes that were resident in the server, as it says itself. */
const residentOf = async (url: string): Promise<number> =>
  Number(/^longconv_resident_bytes (\S+)$/m.exec(await (await fetch(`${url}/metrics`)).text())![1]);

/** Resident bytes of a server at rest, once collecting changes nothing any more. */
export async function restingBytes({ url, child }: Serving): Promise<number> {
  let [before, now] = [Infinity, await residentOf(url)];
  for (let tries = 0; tries < 100 && Math.abs(now - before) > 1e-3 * now; tries++) {
    child.kill("SIGUSR2");
    before = now;
    now = await residentOf(url);
  }
  return now;
}

/** A server as a process. */
export interface Serving {
  readonly url: string;
  readonly child: ChildProcess;
  /** By SIGKILL. */
  kill(): Promise<void>;
}

/** Starts it on a free port with these arguments; it says its address when it takes requests. */
export async function startServer(args: readonly string[]): Promise<Serving> {
  const work = path.join(ROOT, "dist", "src", "cli", "work.js");
  const child = spawn(process.execPath, [...COLLECTING, work, "serve", ...args, "--port", "0"], {
    stdio: ["ignore", "pipe", "inherit", ...CHANNELS],
  });
  const exited = once(child, "exit");
  for await (const line of createInterface({ input: child.stdout! })) {
    const url = /on (http:\S+)\/v1/.exec(line)?.[1];
    if (url === undefined) continue;
    const kill = async () => {
      child.kill("SIGKILL");
      await exited;
    };
    return { url, child, kill };
  }
  throw new Error("the server ended before it listened");
}

/** An answer of the server. @throws Error where it refuses */
export async function ask<T>(url: string, route: string, body?: object): Promise<T> {
  const sent = body && { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(`${url}/v1/${route}`, sent);
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  return JSON.parse(text) as T;
}
