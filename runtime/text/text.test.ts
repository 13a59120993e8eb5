/** Streamed text: whole characters, and nothing of a stop string. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createTokenizer, textStream } from "./text.ts";

const tokenizer = createTokenizer(JSON.parse(readFileSync("test/models/demo/tokenizer.json", "utf8")));

function stream(ids: readonly number[], options: Parameters<typeof textStream>[1] = {}) {
  const text = textStream(tokenizer, options);
  const parts: string[] = [];
  let stopped = false;
  for (const id of ids) {
    const pushed = text.push(id);
    parts.push(pushed.text);
    stopped = pushed.stopped;
    if (stopped) break;
  }
  if (!stopped) parts.push(text.flush());
  return { parts, stopped, text: parts.join("") };
}

/** Byte-level BPE: the id of each single byte. */
const byteIds = (bytes: Uint8Array) => {
  // GPT-2's table: printable bytes stand for themselves, the others for 256, 257, … in order.
  const shown = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const others = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !shown(byte));
  const vocabulary = JSON.parse(readFileSync("test/models/demo/tokenizer.json", "utf8")).model.vocab;
  return Array.from(bytes, (byte) => {
    const code = shown(byte) ? byte : 256 + others.indexOf(byte);
    return vocabulary[String.fromCodePoint(code)] as number;
  });
};

describe("characters", () => {
  test("comes whole, whatever the number of tokens that make it", () => {
    const { parts } = stream(byteIds(new TextEncoder().encode("aé€😀b")));
    expect(parts).toEqual(["a", "", "é", "", "", "€", "", "", "", "😀", "b", ""]);
  });

  test("any text, byte by byte or token by token", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 30 }), (text) => {
        const bytes = stream(byteIds(new TextEncoder().encode(text)));
        expect(bytes.text).toBe(text);
        // the sign for what is broken may stand in a text by itself
        const broken = text.includes("\uFFFD") ? /\p{Surrogate}/u : /[\uFFFD\p{Surrogate}]/u;
        for (const part of bytes.parts) expect(part).not.toMatch(broken);
        if (text) expect(stream(tokenizer.encode(text)).text).toBe(text);
      }),
    );
  });

  test("spaces stay as they were", () => {
    expect(stream(tokenizer.encode("Who , I said ! do n't")).text).toBe("Who , I said ! do n't");
  });

  test("broken bytes become U+FFFD as soon as they are known to be broken, and at the end", () => {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(stream(byteIds(bytes)).text).toBe(decoder.decode(bytes));
      }),
    );
    expect(stream(byteIds(Uint8Array.of(0xe2, 0x82, 0x41))).parts).toEqual(["", "", "\uFFFDA", ""]);
    expect(stream(byteIds(Uint8Array.of(0x41, 0xf0, 0x9f))).parts).toEqual(["A", "", "", "\uFFFD"]);
  });

  test("special tokens are left out unless asked for", () => {
    const ids = [...tokenizer.encode("the end"), 0];
    expect(stream(ids).text).toBe("the end");
    expect(stream(ids, { skipSpecialTokens: false }).text).toBe("the end<|endoftext|>");
  });

  test("ids beyond the tokenizer's have no text", () => {
    expect(stream([...tokenizer.encode("ab"), 5000, ...tokenizer.encode("c")]).text).toBe("abc");
  });
});

describe.each<[string, object]>([
  ["Metaspace", { type: "Metaspace", replacement: "▁", add_prefix_space: true, prepend_scheme: "always" }],
  [
    "Llama's sequence",
    {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
  ],
])("a SentencePiece tokenizer, decoder %s", (_, decoder) => {
  const words = ["<s>", "▁Hello", "▁world", "ly", "▁"];
  const sentencePiece = createTokenizer({
    model: {
      type: "BPE",
      vocab: Object.fromEntries(words.map((word, id) => [word, id])),
      merges: [],
      byte_fallback: true,
    },
    pre_tokenizer: null,
    decoder,
    normalizer: null,
    post_processor: null,
    added_tokens: [{ id: 0, content: "<s>", special: true }],
  });
  const [S, HELLO, WORLD, LY, SPACE] = [0, 1, 2, 3, 4];
  const parts = (ids: readonly number[], after: readonly number[] = []) => {
    const text = textStream(sentencePiece, { after });
    return [...ids.map((id) => text.push(id).text), text.flush()];
  };

  test("keeps the space after a special token and after ids without text", () => {
    expect(parts([HELLO, S, WORLD])).toEqual(["Hello", "", " world", ""]);
    expect(parts([HELLO, 5000, S, WORLD, LY])).toEqual(["Hello", "", "", " world", "ly", ""]);
    expect(parts([S, HELLO, WORLD])).toEqual(["", "Hello", " world", ""]);
  });

  test("streams what decoding at once gives, for any ids", () => {
    const ids = fc.array(fc.constantFrom(S, HELLO, WORLD, LY, SPACE, 5000), { maxLength: 12 });
    fc.assert(
      fc.property(ids, ids, (before, after) => {
        const text = parts(after, before).join("");
        expect(sentencePiece.decode(before) + text).toBe(sentencePiece.decode([...before, ...after]));
      }),
    );
  });

  test("a thousand special tokens cost no more than one", () => {
    expect(parts([HELLO, ...new Array<number>(1000).fill(S), WORLD]).join("")).toBe("Hello world");
  });
});

describe("stop strings", () => {
  const bytes = (text: string) => byteIds(new TextEncoder().encode(text));

  test("ends at a stop string that several tokens make up", () => {
    expect(stream(bytes("one STOP two"), { stop: ["STOP"] })).toMatchObject({ text: "one ", stopped: true });
  });

  test("holds back only what may become one", () => {
    const { parts } = stream(bytes("aSTaSTOb"), { stop: ["STOP"] });
    expect(parts).toEqual(["a", "", "", "STa", "", "", "", "STOb", ""]);
  });

  test("gives what was held back at the end", () => {
    expect(stream(bytes("aSTO"), { stop: ["STOP"] }).parts.at(-1)).toBe("STO");
  });

  test("the first of several, overlapping ones", () => {
    expect(stream(bytes("xabcd"), { stop: ["bcd", "abce", "cd"] })).toMatchObject({ text: "xa", stopped: true });
    expect(stream(bytes("aab"), { stop: ["ab"] })).toMatchObject({ text: "a", stopped: true });
  });

  test("emits exactly the text before the first stop string, for any text", () => {
    const short = fc.string({ unit: fc.constantFrom("a", "b", "é"), maxLength: 12 });
    const stop = fc.string({ unit: fc.constantFrom("a", "b", "é"), minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(short, stop, (text, string) => {
        const at = text.indexOf(string);
        const result = stream(bytes(text), { stop: [string] });
        expect(result.stopped).toBe(at >= 0);
        expect(result.text).toBe(at >= 0 ? text.slice(0, at) : text);
      }),
    );
  });
});

test("refuses what is not a tokenizer", () => {
  expect(() => createTokenizer({ nonsense: true })).toThrow(expect.objectContaining({ code: "bad-input" }));
});
