/** A client that does not read: what is made for it is bounded, nobody waits for it, and it gets its whole text when it reads on. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import type { Socket } from "node:net";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { createServer, type Server } from "../../src/serve/app.ts";
import { type Serving, serving } from "./serving.ts";

/** Part of every event: so that few tokens fill what the network itself holds of a connection. */
const id = "letters".repeat(4000);
const TOKENS = 3000;
/** What Node holds of an answer (16 KiB) and the events in front of it. */
const MOST_HELD = 2 ** 14 + 6 * (id.length + 1000);

let at: Serving;
let server: Server;
let url: string;
const sockets: Socket[] = [];
beforeAll(async () => {
  at = await serving();
  server = await createServer({ models: [{ id, model: at.model }], limits: { batch: 2, bodyBytes: 100_000 } });
  server.app.server.on("connection", (socket) => sockets.push(socket));
  url = await server.app.listen({ host: "127.0.0.1", port: 0 });
});
afterAll(async () => {
  await server?.drain(0);
  await at?.end();
});

const headers = { "content-type": "application/json" };
const asked = { model: id, prompt: "abc", temperature: 0 };

/** A streamed answer that has begun, of which nobody reads on; and the server's end of its connection. */
async function unread(): Promise<{ readonly response: IncomingMessage; readonly socket: Socket }> {
  const before = sockets.length;
  const sent = request(`${url}/v1/completions`, { method: "POST", headers, agent: false });
  sent.end(JSON.stringify({ ...asked, max_tokens: TOKENS, stream: true }));
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  response.pause();
  return { response, socket: sockets[before]! };
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^longconv_${name}\\{.*\\} (\\d+)$`, "m").exec(text)![1]);
}

/** Tokens that were made for those who read. */
let others = 0;

const brief = async (): Promise<string> => {
  others += 8;
  const body = JSON.stringify({ ...asked, max_tokens: 8 });
  const answer = await (await fetch(`${url}/v1/completions`, { method: "POST", headers, body })).json();
  return (answer as { choices: [{ text: string }] }).choices[0].text;
};

/** Nothing is made beyond what the others asked for, from before their request to after it. */
async function standStill(): Promise<void> {
  const expected = (await at.alone({ prompt: "abc", maxNewTokens: 8 })).text;
  await vi.waitFor(
    async () => {
      const before = await metric("generated_tokens_total");
      expect(await brief()).toBe(expected);
      expect(await metric("generated_tokens_total")).toBe(before + 8);
    },
    { timeout: 3_600_000 },
  );
}

test("as many as the batch has places: the others are answered, and what is held is bounded", async () => {
  const clients = [await unread(), await unread(), await unread()];
  await vi.waitFor(() => expect(clients.every(({ socket }) => socket.writableNeedDrain)).toBe(true), {
    timeout: 3_600_000,
  });
  await standStill();
  for (const { socket } of clients) expect(socket.writableLength).toBeLessThan(MOST_HELD);
  expect((await metric("generated_tokens_total")) - others).toBeLessThan(clients.length * TOKENS);

  const { text } = await at.alone({ prompt: "abc", maxNewTokens: TOKENS });
  const [first, leaving, waiting] = clients;
  // One leaves, one reads on, one goes on waiting.
  leaving!.response.on("error", () => undefined).destroy();
  let events = "";
  for await (const chunk of first!.response.setEncoding("utf8")) events += chunk;
  const pieces = events.split("\n\n").filter((event) => event.startsWith("data: {"));
  expect(pieces.map((event) => JSON.parse(event.slice(6)).choices[0].text).join("")).toBe(text);
  expect(events).toMatch(/\[DONE\]\n\n$/);
  await standStill();
  expect(waiting!.socket.writableLength).toBeLessThan(MOST_HELD);
  waiting!.response.on("error", () => undefined).destroy();
});
