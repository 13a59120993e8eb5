/**
 * Text over HTTP, for many clients at a time in one batch:
 *
 *     node server.js FOLDER [PORT]
 *     curl --no-buffer 'http://localhost:8080/?prompt=In+the+beginning&tokens=100&seed=7'
 */
import { once } from "node:events";
import { createServer } from "node:http";
import { createBatch, LongConvError, load } from "longconv-ssm/node";

/** Nobody gets more tokens in one answer. */
const MOST_TOKENS = 10_000;

const [folder = "demo-model", port = "8080"] = process.argv.slice(2);
const model = await load(folder);
const batch = createBatch(model);

const server = createServer(async (request, response) => {
  // The response also closes when the client has left: then its sequence leaves the batch.
  const left = new AbortController();
  response.once("close", () => left.abort());
  response.setHeader("Content-Type", "text/plain; charset=utf-8");
  let tokens = 0;
  try {
    for await (const { text } of batch.add({ ...asked(request), signal: left.signal })) {
      left.signal.throwIfAborted();
      tokens++;
      // Whoever reads slowly is waited for; meanwhile the batch goes on without this sequence.
      if (!response.write(text)) await once(response, "drain", { signal: left.signal });
    }
    response.end();
    console.log(`answered with ${tokens} tokens`);
  } catch (error) {
    // Thrown here, it would end the process, and with it the answers to everybody else.
    if (left.signal.aborted) console.log(`the client left after ${tokens} tokens`);
    else refuse(response, error);
  }
});

/** What `batch.add` takes, from the address; it checks the values itself. */
function asked({ method, url }) {
  if (method !== "GET") throw new LongConvError("bad-input", `${method} is not answered`, {}, "Send GET /?prompt=…");
  const base = "http://localhost";
  if (!URL.canParse(url, base)) throw new LongConvError("bad-input", "the address cannot be read");
  const { searchParams: query } = new URL(url, base);
  // Number("") would be 0.
  const number = (name, otherwise) => (query.has(name) ? Number(query.get(name) || "none") : otherwise);
  return {
    prompt: query.get("prompt") ?? "",
    maxNewTokens: Math.min(number("tokens", 64), MOST_TOKENS),
    temperature: number("temperature", 0.8),
    seed: number("seed"),
  };
}

/** Says what is wrong: 400 for what the client can mend, else 500. What has begun can only be broken off. */
function refuse(response, error) {
  console.error(String(error));
  if (response.headersSent) return response.destroy();
  const { code = "runtime-failed", reason = "the server failed", remedy } = error instanceof LongConvError ? error : {};
  const status = ["bad-input", "token-out-of-range"].includes(code) ? 400 : 500;
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify({ code, reason, remedy }));
}

// Answers that have begun are given to their end.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.close(() => model.close()));

server.listen(Number(port), () => console.log(`http://localhost:${server.address().port}/`));
