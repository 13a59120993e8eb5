/**
 * Kills a server (SIGKILL) at random moments while its sessions are written, starts it anew, and looks: every session that was
 * answered for is there, and goes on as its whole text does.
 *
 *     npm run build && node dist/scripts/strike-sessions.js --count 200
 */
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { uniform } from "../src/random.ts";
import { temporaryFolder } from "../src/temporary-folder.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { ask, type Serving, SMALL_MODEL, startServer, writeServed } from "./serve-process.ts";

/** Clients that write at once, and the most milliseconds after the last answer that is waited for. */
const CLIENTS = 4;
const MOST_MS = 30;
const VOCABULARY = 20;

const { values } = readArguments("strike-sessions.js [--count N] [--seed N]", {
  count: { type: "string", default: "200" },
  seed: { type: "string", default: "1" },
});
const count = wholeNumber("--count", values.count);
const draw = uniform(wholeNumber("--seed", values.seed));
const below = (most: number) => Math.floor(most * draw());

interface Completion {
  readonly choices: readonly [{ readonly token_ids: readonly number[] }];
}

/** What is known of a session: what was answered, and the prompt that was sent and not answered. */
interface Known {
  readonly id: string;
  readonly ids: readonly number[];
  readonly sent: readonly number[] | undefined;
}

const TOKENS = 3;
const goOn = async (url: string, more: object): Promise<readonly number[]> => {
  const common = { model: "model", temperature: 0, max_tokens: TOKENS, ...more };
  return (await ask<Completion>(url, "completions", common)).choices[0].token_ids;
};

/** Makes a session now and then, and else goes on with one, until the server is gone. */
async function client(url: string, known: Map<string, Known>, answered: () => void): Promise<void> {
  const own: string[] = [];
  try {
    for (;;) {
      const which = own[below(own.length)];
      // The model's claim ends at 64 positions.
      if (which === undefined || draw() < 0.2 || known.get(which)!.ids.length > 45) {
        const { id } = await ask<{ id: string }>(url, "sessions", { model: "model" });
        known.set(id, { id, ids: [], sent: undefined });
        own.push(id);
      } else {
        const id = which;
        const { ids } = known.get(id)!;
        const sent = Array.from({ length: 1 + below(4) }, () => below(VOCABULARY));
        known.set(id, { id, ids, sent });
        const made = await goOn(url, { session: id, prompt: sent });
        known.set(id, { id, ids: [...ids, ...sent, ...made], sent: undefined });
      }
      answered();
    }
  } catch (error) {
    // The connection of a server that was killed
    if (!(error instanceof TypeError)) throw error;
  }
}

/** What is wrong with a session after the restart. */
async function faultOf(url: string, { id, ids, sent }: Known): Promise<string | undefined> {
  const { tokens } = await ask<{ tokens: number }>(url, `sessions/${id}`);
  const whole = [...ids];
  if (sent && tokens === ids.length + sent.length + TOKENS) {
    const prompt = [...ids, ...sent];
    whole.splice(0, whole.length, ...prompt, ...(await goOn(url, { prompt })));
  } else if (tokens !== ids.length) return `session ${id} has ${tokens} tokens, answered were ${ids.length}`;
  const [own, alone] = [await goOn(url, { session: id, prompt: [1] }), await goOn(url, { prompt: [...whole, 1] })];
  return own.join() === alone.join() ? undefined : `session ${id} goes on with ${own}, its text with ${alone}`;
}

const folder = await temporaryFolder();
const counts = { kills: 0, sessions: 0, turns: 0, wrong: 0 };
let serving: Serving | undefined;
try {
  const file = path.join(folder.path, "model.onnx");
  await writeServed(SMALL_MODEL, file);
  const start = (sessions: string) => startServer([file, "--sessions", path.join(folder.path, sessions)]);
  for (; counts.kills < count; counts.kills++) {
    const sessions = `sessions-${counts.kills}`;
    const first = await start(sessions);
    serving = first;
    const known = new Map<string, Known>();
    let left = 1 + below(60);
    await new Promise<void>((resolve, reject) => {
      const clients = Array.from({ length: CLIENTS }, () =>
        client(first.url, known, () => {
          counts.turns++;
          if (--left === 0) void wait(draw() * MOST_MS).then(() => first.kill());
        }),
      );
      Promise.all(clients).then(() => resolve(), reject);
    });
    await first.kill();
    serving = await start(sessions);
    for (const each of known.values()) {
      counts.sessions++;
      const fault = await faultOf(serving.url, each).catch(String);
      if (fault === undefined) continue;
      counts.wrong++;
      console.error(fault);
    }
    await serving.kill();
  }
  console.log(JSON.stringify(counts));
} finally {
  await serving?.kill();
  await folder.remove();
}
if (counts.wrong > 0) process.exitCode = 1;
