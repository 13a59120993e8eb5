/**
 * Clients of a server, a third of whom hang up at random: every text is the one that the server gives when nobody else asks,
 * or parts from it where rounding decides. Times as clients see them, and the server's memory.
 *
 *     npm run build && node dist/scripts/soak-serve.js --minutes 10 --clients 200
 *     node dist/scripts/soak-serve.js --minutes 1 --clients 200 --batch 1     # the same without batching
 */
import path from "node:path";
import { quantile } from "d3-array";
import { uniform } from "../src/random.ts";
import { temporaryFolder } from "../src/temporary-folder.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { restingBytes, SMALL_MODEL, startServer, writeServed } from "./serve-process.ts";

/** Different requests. */
const REQUESTS = 60;
const VOCABULARY = 20;
/** Of log probabilities: what another order of additions changes. */
const ROUNDING = 1e-3;
/** Requests after which the server's memory at rest is what it is. */
const WARM = 2000;
/** Of that, what may be there at the end. */
const MOST_MEMORY = 1.02;

const { values } = readArguments(
  "soak-serve.js [--minutes N | --requests N] [--clients N] [--batch N] [--model FILE] [--seed N]",
  {
    minutes: { type: "string", default: "10" },
    requests: { type: "string" },
    clients: { type: "string", default: "200" },
    batch: { type: "string", default: "64" },
    model: { type: "string", default: SMALL_MODEL },
    seed: { type: "string", default: "1" },
  },
);
const most = values.requests === undefined ? Infinity : wholeNumber("--requests", values.requests);
const endMs = most < Infinity ? Infinity : 6e4 * wholeNumber("--minutes", values.minutes);
const clients = wholeNumber("--clients", values.clients);
const batch = wholeNumber("--batch", values.batch);
const draw = uniform(wholeNumber("--seed", values.seed));
const below = (count: number) => Math.floor(count * draw());

/** A token as it came, with the log probabilities of the two best. */
interface Token {
  readonly id: number;
  readonly best: readonly number[];
}

function requestFor(): object {
  const prompt = Array.from({ length: 1 + below(40) }, () => below(VOCABULARY));
  const common = { model: "model", prompt, max_tokens: 1 + below(100), logprobs: 2, stream: true };
  if (draw() < 0.5) return { ...common, temperature: 0 };
  return { ...common, seed: below(1000), temperature: 0.5 + draw(), top_p: 0.9, presence_penalty: draw() };
}

const times = { first: [] as number[], between: [] as number[] };
const counts = { finished: 0, left: 0, tokens: 0, parted: 0, wrong: 0 };

/** @param leaveAfter tokens after which the client hangs up */
async function ask(url: string, request: object, leaveAfter = Infinity): Promise<{ tokens: Token[]; left: boolean }> {
  const stop = new AbortController();
  let before = performance.now();
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
    signal: stop.signal,
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  const tokens: Token[] = [];
  let rest = "";
  for await (const bytes of response.body!.pipeThrough(new TextDecoderStream())) {
    const events = (rest + bytes).split("\n\n");
    rest = events.pop()!;
    for (const event of events) {
      const data = event.slice("data: ".length);
      if (data === "[DONE]") continue;
      const { error, choices } = JSON.parse(data);
      if (error) throw new Error(event);
      const now = performance.now();
      (tokens.length === 0 ? times.first : times.between).push(now - before);
      before = now;
      const [{ token_ids, logprobs }] = choices;
      tokens.push({ id: token_ids[0], best: Object.values(logprobs.top_logprobs[0]) });
      if (tokens.length <= leaveAfter) continue;
      stop.abort();
      return { tokens, left: true };
    }
  }
  return { tokens, left: false };
}

/** What is wrong with a text, held against the one that is made alone. */
function faultOf(
  { tokens, left }: { tokens: readonly Token[]; left: boolean },
  alone: readonly Token[],
): string | undefined {
  for (const [k, { id, best }] of tokens.entries()) {
    const own = alone[k];
    if (!own) return `${tokens.length} tokens, alone ${alone.length}`;
    const apart = Math.max(...best.map((value, i) => Math.abs(value - own.best[i]!)));
    if (!(apart <= ROUNDING)) return `log probabilities differ by ${apart} at token ${k}`;
    if (id === own.id) continue;
    // With probabilities that are equal up to rounding, another token is a tie.
    counts.parted++;
    return undefined;
  }
  return !left && tokens.length !== alone.length ? `${tokens.length} tokens, alone ${alone.length}` : undefined;
}

const sequencesOf = async (url: string): Promise<number> =>
  [...(await (await fetch(`${url}/metrics`)).text()).matchAll(/^longconv_sequences_\w+\{.*\} (\d+)$/gm)].reduce(
    (sum, match) => sum + Number(match[1]),
    0,
  );

const round = (ms: number | undefined) => Number((ms ?? Number.NaN).toFixed(2));
const quantiles = (values: number[]) => ({ p50: round(quantile(values, 0.5)), p99: round(quantile(values, 0.99)) });

const folder = await temporaryFolder();
try {
  const file = path.join(folder.path, "model.onnx");
  await writeServed(values.model, file);
  const server = await startServer([file, "--max-batch", String(batch), "--max-queue", String(2 * clients)]);
  const { url, kill } = server;
  try {
    const requests = Array.from({ length: REQUESTS }, requestFor);
    const texts: Token[][] = [];
    for (const request of requests) texts.push((await ask(url, request)).tokens);
    let [started, began] = [0, performance.now()];
    const client = async (goesOn: () => boolean) => {
      while (goesOn()) {
        started++;
        const which = below(REQUESTS);
        const leaves = draw() < 1 / 3 && texts[which]!.length > 1;
        const got = await ask(url, requests[which]!, leaves ? below(texts[which]!.length - 1) : Infinity);
        counts[got.left ? "left" : "finished"]++;
        counts.tokens += got.tokens.length;
        const fault = faultOf(got, texts[which]!);
        if (fault === undefined) continue;
        counts.wrong++;
        console.error(fault);
      }
    };
    const all = (goesOn: () => boolean) => Promise.all(Array.from({ length: clients }, () => client(goesOn)));
    const left = async () => {
      for (let tries = 0; tries < 1000 && (await sequencesOf(url)) > 0; tries++);
      return sequencesOf(url);
    };
    const warm = Math.min(WARM, Math.floor(most / 2));
    await all(() => started < warm);
    await left();
    const early = await restingBytes(server);
    times.first.length = times.between.length = counts.tokens = 0;
    began = performance.now();
    await all(() => started < most && performance.now() - began < endMs);
    const seconds = (performance.now() - began) / 1000;
    const remaining = await left();
    if (remaining > 0) counts.wrong++;
    const perSecond = Math.round(counts.tokens / seconds);
    const ms = { first: quantiles(times.first), between: quantiles(times.between) };
    const late = await restingBytes(server);
    const bytes = [early, late];
    if (warm === WARM && late > MOST_MEMORY * early) {
      counts.wrong++;
      console.error(`memory grew from ${early} to ${late} bytes`);
    }
    console.log(
      JSON.stringify({ ...counts, clients, batch, seconds: Math.round(seconds), perSecond, ms, bytes, remaining }),
    );
  } finally {
    await kill();
  }
} finally {
  await folder.remove();
}
if (counts.wrong > 0) process.exitCode = 1;
