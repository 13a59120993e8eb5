/** A server of the letters' model for tests, in this process, on a port of its own. */
import { readFileSync, writeFileSync } from "node:fs";
import { type GenerateOptions, type Generation, generate, load, type Model } from "../../runtime/node.ts";
import { createServer, type Server } from "../../src/serve/app.ts";
import type { Message, ServeOptions } from "../../src/serve/options.ts";
import { scratch } from "../command.ts";
import { type OtherModel, writeLetters } from "../letters.ts";

export interface Serving extends Server {
  readonly model: Model;
  readonly url: string;
  readonly folder: string;
  /** What the runtime makes of the same, alone. */
  alone(options: GenerateOptions): Promise<{ readonly text: string; readonly tokens: readonly number[] }>;
  end(): Promise<void>;
}

/** Letters only: a turn is its text and a space. */
export const render = (messages: readonly Message[]): string => messages.map(({ content }) => `${content} `).join("");

/** Serves it, or another converted model, as `letters`. */
export async function serving(options: Partial<ServeOptions> = {}, other?: OtherModel): Promise<Serving> {
  const dir = scratch();
  writeLetters(dir.folder, other);
  const model = await load(dir.folder);
  const faults: unknown[] = [];
  const server = await createServer({
    models: [{ id: "letters", model, render }],
    onFault: (error) => faults.push(error),
    ...options,
  });
  const url = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const alone = async (asked: GenerateOptions) => {
    const generation: Generation = generate(model, asked);
    const [tokens, texts]: [number[], string[]] = [[], []];
    for await (const { token, text } of generation) {
      tokens.push(token);
      texts.push(text);
    }
    return { text: texts.join(""), tokens };
  };
  const end = async () => {
    await server.drain(0);
    await model.close();
    dir.remove();
    if (faults.length > 0) throw new AggregateError(faults, "the server itself failed");
  };
  return { ...server, model, url, folder: dir.folder, alone, end };
}

/** Adds to a JSON file. */
export function extend(file: string, more: object): void {
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...more }));
}
