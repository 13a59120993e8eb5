/** One producer and one iterator, whichever is ahead. */
import { expect, test } from "vitest";
import { createChannel } from "./channel.ts";

test("calls of next before anything is there are answered in order, by values, an error and the end", async () => {
  const channel = createChannel<number>();
  const calls = [channel.next(), channel.next(), channel.next(), channel.next()];
  channel.push(1);
  channel.push(2);
  channel.fail(new Error("mine"));
  channel.push(3);
  expect(await Promise.allSettled(calls)).toMatchObject([
    { value: { done: false, value: 1 } },
    { value: { done: false, value: 2 } },
    { reason: { message: "mine" } },
    { value: { done: true } },
  ]);
  expect(await channel.next()).toEqual({ done: true, value: undefined });
});

test("values that wait come first, then the error, once", async () => {
  const channel = createChannel<number>();
  channel.push(1);
  channel.fail(new Error("mine"));
  expect(await channel.next()).toEqual({ done: false, value: 1 });
  await expect(channel.next()).rejects.toThrow("mine");
  expect(await channel.next()).toEqual({ done: true, value: undefined });
});

test("a consumer that leaves ends the calls that wait, and the producer is told once", async () => {
  let told = 0;
  const channel = createChannel<number>({ onReturn: () => told++ });
  const call = channel.next();
  await channel.return!();
  await channel.return!();
  expect(await call).toEqual({ done: true, value: undefined });
  channel.push(1);
  expect(await channel.next()).toEqual({ done: true, value: undefined });
  expect(told).toBe(1);
});

test("is full from its limit until half is taken", async () => {
  let room = 0;
  const channel = createChannel<number>({ limit: 4, onRoom: () => room++ });
  const seen: boolean[] = [];
  for (let value = 0; value < 5; value++) {
    channel.push(value);
    seen.push(channel.full);
  }
  for (let value = 0; value < 5; value++) {
    await channel.next();
    seen.push(channel.full);
  }
  expect(seen).toEqual([false, false, false, true, true, true, true, false, false, false]);
  expect(room).toBe(1);
  // What is taken at once does not wait.
  const one = createChannel<number>({ limit: 1 });
  const call = one.next();
  one.push(1);
  expect(one.full).toBe(false);
  await call;
});
