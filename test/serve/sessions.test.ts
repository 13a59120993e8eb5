/** Sessions: a text goes on where it was, is taken back, forked, moved elsewhere, and survives a restart. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import fsp from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stateFromBytes } from "../../runtime/node.ts";
import { scratch } from "../command.ts";
import { type Serving, serving } from "./serving.ts";

const dir = scratch();
let at: Serving;
beforeAll(async () => {
  at = await serving({ sessionsFolder: dir.at("sessions") });
});
afterAll(async () => {
  await at?.end();
  dir.remove();
});

interface Json {
  readonly id: string;
  readonly tokens: number;
  readonly choices: readonly { readonly text: string }[];
  readonly error?: object;
}
const asJson = { "content-type": "application/json" };

async function call(method: string, route: string, body?: object, on = at): Promise<{ status: number; value: Json }> {
  const sent = body && { headers: asJson, body: JSON.stringify(body) };
  const response = await fetch(`${on.url}/v1/${route}`, { method, ...sent });
  return { status: response.status, value: (await response.json()) as Json };
}

async function create(on = at): Promise<string> {
  const { status, value } = await call("POST", "sessions", { model: "letters" }, on);
  expect(status).toBe(201);
  return value.id;
}

/** The text that a session goes on with. */
async function goOn(session: string, prompt: string, more: object = {}, on = at): Promise<string> {
  const body = { model: "letters", session, prompt, temperature: 0, max_tokens: 6, ...more };
  const { status, value } = await call("POST", "completions", body, on);
  expect(status, JSON.stringify(value)).toBe(200);
  return value.choices[0]!.text;
}

const greedy = async (prompt: string, maxNewTokens = 6) => (await at.alone({ prompt, maxNewTokens })).text;

test("each turn goes on after all before it, as the whole text does", async () => {
  const id = await create();
  let all = "";
  for (const prompt of ["abc", "the quick", "", "z"]) {
    const expected = await greedy(all + prompt || all);
    expect(await goOn(id, prompt)).toBe(expected);
    all += prompt + expected;
  }
  expect((await call("GET", `sessions/${id}`)).value).toMatchObject({ id, model: "letters", tokens: all.length });
});

test("a prompt can be read without a text after it", async () => {
  const id = await create();
  expect(await goOn(id, "the quick brown", { max_tokens: 0 })).toBe("");
  expect(await goOn(id, "")).toBe(await greedy("the quick brown"));
});

test("a streamed text moves it as well", async () => {
  const id = await create();
  const body = { model: "letters", session: id, prompt: "abc", temperature: 0, max_tokens: 6, stream: true };
  const response = await fetch(`${at.url}/v1/completions`, {
    method: "POST",
    headers: asJson,
    body: JSON.stringify(body),
  });
  expect(await response.text()).toMatch(/\[DONE\]\n\n$/);
  expect(await goOn(id, "")).toBe((await greedy("abc", 12)).slice(6));
});

test("taken back by any number of tokens, it goes on as if they had not been", async () => {
  const id = await create();
  const first = await goOn(id, "the quick brown ");
  const second = await goOn(id, "fox jumps ");
  const whole = `the quick brown ${first}fox jumps ${second}`;
  for (const tokens of [3, 9, 11, 1]) {
    const { tokens: before } = (await call("GET", `sessions/${id}`)).value;
    expect((await call("POST", `sessions/${id}/rewind`, { tokens })).value).toMatchObject({ tokens: before - tokens });
    const fork = (await call("POST", `sessions/${id}/fork`)).value.id;
    expect(await goOn(fork, "over ")).toBe(await greedy(`${whole.slice(0, before - tokens)}over `));
  }
  const rest = whole.length - 24;
  expect((await call("POST", `sessions/${id}/rewind`, { tokens: rest })).value).toMatchObject({ tokens: 0, bytes: 0 });
  expect(await goOn(id, "abc")).toBe(await greedy("abc"));
  expect(await call("POST", `sessions/${id}/rewind`, { tokens: 100 })).toMatchObject({
    ...{ status: 400, value: { error: { code: "invalid_value", param: "tokens" } } },
  });
});

describe("a conversation", () => {
  const said = (...contents: readonly string[]) =>
    contents.map((content, at) => ({ role: at % 2 === 0 ? "user" : "assistant", content }));
  /** Its answer, and how much of it was not read again. */
  const chat = async (messages: readonly object[], more: object = {}) => {
    const body = { model: "letters", messages, temperature: 0, max_tokens: 6, ...more };
    const { status, value } = await call("POST", "chat/completions", body);
    expect(status, JSON.stringify(value)).toBe(200);
    const { choices, usage } = value as unknown as {
      choices: [{ message: { content: string } }];
      usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
    };
    return { text: choices[0].message.content, read: usage.prompt_tokens_details.cached_tokens };
  };
  const tokens = async (id: string) => (await call("GET", `sessions/${id}`)).value.tokens;

  test("goes on from its session and moves it, as without one", async () => {
    const session = await create();
    const { text: first, read } = await chat(said("the quick"), { session });
    expect([first, read]).toEqual([await greedy("the quick "), 0]);
    expect(await tokens(session)).toBe(16);
    const { text: second, read: again } = await chat(said("the quick", first, "fox"), { session });
    expect([second, again]).toEqual([await greedy(`the quick ${first} fox `), 16]);
    expect(await goOn(session, "")).toBe((await greedy(`the quick ${first} fox `, 12)).slice(6));
  });

  test("whose last message was edited, or which is another, goes on from what is alike", async () => {
    const session = await create();
    const { text: first } = await chat(said("the quick"), { session });
    await chat(said("the quick", first, "fox"), { session });
    // the nearest state is the one behind the first answer
    const edited = await chat(said("the quick", first, "dog"), { session });
    expect(edited).toEqual({ text: await greedy(`the quick ${first} dog `), read: 16 });
    const other = await chat(said("zzz"), { session });
    expect(other).toEqual({ text: await greedy("zzz "), read: 0 });
    expect(await tokens(session)).toBe(10);
    const same = await chat(said("zzz"), { session });
    expect(same.text).toBe(other.text);
  });

  test("of which the session has read everything reads nothing again", async () => {
    const session = await create();
    await goOn(session, "the quick ", { max_tokens: 0 });
    expect(await chat(said("the quick"), { session })).toEqual({ text: await greedy("the quick "), read: 10 });
    expect(await tokens(session)).toBe(16);
  });

  test("with a penalty of all that was said, which a state does not know, is read again", async () => {
    const session = await create();
    const { text: first } = await chat(said("the quick"), { session });
    const { text } = await chat(said("the quick", first, "fox"), { session, repetition_penalty: 1.5 });
    const prompt = `the quick ${first} fox `;
    const expected = await at.alone({ prompt, maxNewTokens: 6, repetitionPenalty: 1.5 });
    expect(text).toBe(expected.text);
    expect(text).not.toBe(await greedy(prompt));
    expect(await tokens(session)).toBe(prompt.length + 6);
  });

  test("streamed moves it as well; several answers, and what was imported, are refused", async () => {
    const session = await create();
    const body = { model: "letters", session, messages: said("abc"), temperature: 0, max_tokens: 6 };
    const send = { method: "POST", headers: asJson, body: JSON.stringify({ ...body, stream: true }) };
    expect(await (await fetch(`${at.url}/v1/chat/completions`, send)).text()).toMatch(/\[DONE\]\n\n$/);
    expect(await tokens(session)).toBe(10);
    const refused = { status: 400, value: { error: { code: "invalid_value", param: "session" } } };
    expect(await call("POST", "chat/completions", { ...body, n: 2 })).toMatchObject(refused);
    const state = await (await fetch(`${at.url}/v1/sessions/${session}/state`)).arrayBuffer();
    const headers = { "content-type": "application/octet-stream" };
    const imported = await fetch(`${at.url}/v1/sessions/import?model=letters`, {
      method: "POST",
      headers,
      body: state,
    });
    const { id } = (await imported.json()) as Json;
    expect(await call("POST", "chat/completions", { ...body, session: id })).toMatchObject(refused);
    expect(await tokens(id)).toBe(10);
  });
});

test("a fork goes its own way, and a deleted session is gone", async () => {
  const id = await create();
  await goOn(id, "abc");
  const fork = (await call("POST", `sessions/${id}/fork`)).value.id;
  await goOn(id, "zzz");
  expect(await goOn(fork, "")).toBe((await greedy("abc", 12)).slice(6));
  expect((await call("DELETE", `sessions/${id}`)).value).toMatchObject({ id, deleted: true });
  expect((await call("GET", `sessions/${id}`)).value.error).toMatchObject({ code: "session_not_found" });
  expect((await call("GET", `sessions/${fork}`)).status).toBe(200);
});

test("exported as the runtime's bytes, and imported by another server", async () => {
  const id = await create();
  await goOn(id, "the quick");
  const bytes = new Uint8Array(await (await fetch(`${at.url}/v1/sessions/${id}/state`)).arrayBuffer());
  const other = await serving();
  try {
    expect((await stateFromBytes(other.model, bytes)).positions).toEqual([15]);
    const headers = { "content-type": "application/octet-stream" };
    const send = (body: Uint8Array) =>
      fetch(`${other.url}/v1/sessions/import?model=letters`, {
        method: "POST",
        headers,
        body: body as Uint8Array<ArrayBuffer>,
      });
    const imported = await send(bytes);
    expect(imported.status).toBe(201);
    const { id: there } = (await imported.json()) as { id: string };
    expect(await goOn(there, "", {}, other)).toBe((await greedy("the quick", 12)).slice(6));
    // What came before is not known there.
    expect(await call("POST", `sessions/${there}/rewind`, { tokens: 6 }, other)).toMatchObject({ status: 200 });
    expect(await call("POST", `sessions/${there}/rewind`, { tokens: 3 }, other)).toMatchObject({ status: 400 });
    const damaged = bytes.slice();
    damaged[bytes.length - 5]! ^= 1;
    const refused = await send(damaged);
    expect([refused.status, (await refused.json()) as object]).toMatchObject([
      400,
      { error: { code: "invalid_value" } },
    ]);
    expect((await send(new Uint8Array(10))).status).toBe(400);
  } finally {
    await other.end();
  }
});

describe("on the disk", () => {
  const restarted = () => serving({ sessionsFolder: dir.at("sessions") });

  test("they survive a restart, and can still be taken back", async () => {
    const id = await create();
    const text = await goOn(id, "abc");
    const again = await restarted();
    try {
      expect(await goOn(id, "def", {}, again)).toBe(await greedy(`abc${text}def`));
      await call("POST", `sessions/${id}/rewind`, { tokens: 11 }, again);
      expect(await goOn(id, "", {}, again)).toBe(await greedy(`abc${text}`.slice(0, 7)));
    } finally {
      await again.end();
    }
  });

  /** Lets a call on files that are being written fail while `work` is done, as a full disk does. */
  async function onFullDisk<T>(named: string, work: () => Promise<T>): Promise<T> {
    const { open, rename } = fsp;
    const full = async () => {
      throw Object.assign(new Error("ENOSPC: injected"), { code: "ENOSPC", syscall: named });
    };
    fsp.open = async (...args: Parameters<typeof open>) => {
      if (named === "open") return full();
      const handle = await open(...args);
      const { writeFile } = handle;
      if (named === "writeFile")
        handle.writeFile = async (data) => {
          await writeFile.call(handle, (data as Buffer).subarray(0, 40));
          return full();
        };
      if (named === "sync") handle.sync = full;
      return handle;
    };
    if (named === "rename") fsp.rename = full;
    syncBuiltinESMExports();
    try {
      return await work();
    } finally {
      Object.assign(fsp, { open, rename });
      syncBuiltinESMExports();
    }
  }

  test.each(["open", "writeFile", "sync", "rename"])(
    "full at %s, its file and the session are as they were",
    async (named) => {
      const id = await create();
      const text = await goOn(id, "abc");
      const file = dir.at("sessions", `${id}.session`);
      const before = readFileSync(file);
      const names = readdirSync(dir.at("sessions")).sort();
      const refused = { status: 507, value: { error: { code: "session_not_saved", param: "session" } } };
      await onFullDisk(named, async () => {
        const completion = { model: "letters", session: id, prompt: "def", max_tokens: 6 };
        expect(await call("POST", "completions", completion)).toMatchObject(refused);
        const chat = { model: "letters", session: id, messages: [{ role: "user", content: "def" }], max_tokens: 6 };
        expect(await call("POST", "chat/completions", chat)).toMatchObject(refused);
        expect(await call("POST", `sessions/${id}/rewind`, { tokens: 2 })).toMatchObject(refused);
        expect(await call("POST", `sessions/${id}/fork`)).toMatchObject(refused);
        const streamed = { method: "POST", headers: asJson, body: JSON.stringify({ ...completion, stream: true }) };
        const events = await (await fetch(`${at.url}/v1/completions`, streamed)).text();
        expect(events).toContain('"code":"session_not_saved"');
        expect(events).not.toContain("[DONE]");
        // who needs no disk is answered
        expect((await call("POST", "completions", { ...completion, session: null })).status).toBe(200);
      });
      expect(readFileSync(file)).toEqual(before);
      expect(readdirSync(dir.at("sessions")).sort()).toEqual(names);
      const again = await restarted();
      try {
        expect((await call("GET", `sessions/${id}`, undefined, again)).value.tokens).toBe(9);
      } finally {
        await again.end();
      }
      expect(await goOn(id, "def")).toBe(await greedy(`abc${text}def`));
    },
  );

  test("a damaged file is told, and left; the others are there", async () => {
    const [good, bad] = [await create(), await create()];
    await goOn(good, "abc");
    const file = dir.at("sessions", `${bad}.session`);
    const bytes = readFileSync(file);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(file, bytes);
    writeFileSync(dir.at("sessions", "x.writing"), "half");
    const again = await restarted();
    expect((await call("GET", `sessions/${bad}`, undefined, again)).status).toBe(404);
    expect((await call("GET", `sessions/${good}`, undefined, again)).status).toBe(200);
    await expect(again.end()).rejects.toThrow("the server itself failed");
    expect(readdirSync(dir.at("sessions")).filter((name) => !name.endsWith(".session"))).toEqual([]);
    expect(readFileSync(file)).toEqual(bytes);
  });

  test("where it cannot be written, the session is as it was, and says so", async () => {
    const other = await serving({ sessionsFolder: dir.at("gone") });
    try {
      const id = await create(other);
      const text = await goOn(id, "abc", {}, other);
      const { renameSync } = await import("node:fs");
      renameSync(dir.at("gone"), dir.at("away"));
      const body = { model: "letters", session: id, prompt: "def", temperature: 0, max_tokens: 6 };
      expect(await call("POST", "completions", body, other)).toMatchObject({
        ...{ status: 507, value: { error: { code: "session_not_saved" } } },
      });
      renameSync(dir.at("away"), path.join(dir.folder, "gone"));
      expect(await goOn(id, "", {}, other)).toBe((await greedy("abc", 12)).slice(6));
      expect(text).toBe(await greedy("abc"));
    } finally {
      await other.end();
    }
  });
});
