/** Typed values of every ONNX type. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bfloat16FromNumber, float16FromNumber, numberFromBfloat16, numberFromFloat16 } from "./halves.ts";
import {
  byteSizeOf,
  DataType,
  float32Tensor,
  int64Tensor,
  makeTensor,
  tensorBytes,
  tensorFromBytes,
  toNumbers,
} from "./tensor.ts";
import { tensorFromProto, tensorToProto } from "./tensorproto.ts";

describe("float16", () => {
  // Values of IEEE 754-2008, binary16.
  test.each([
    [0x0000, 0],
    [0x0001, 2 ** -24],
    [0x03ff, 2 ** -14 - 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3555, 0.333251953125],
    [0x3c00, 1],
    [0x3c01, 1 + 2 ** -10],
    [0xc000, -2],
    [0x7bff, 65504],
    [0x7c00, Number.POSITIVE_INFINITY],
    [0xfc00, Number.NEGATIVE_INFINITY],
  ])("%i is %f", (bits, value) => {
    expect(numberFromFloat16(bits)).toBe(value);
    expect(float16FromNumber(value)).toBe(bits);
  });

  test("every half survives", () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = numberFromFloat16(bits);
      if (Number.isNaN(value)) expect(numberFromFloat16(float16FromNumber(value))).toBeNaN();
      else if (float16FromNumber(value) !== bits) throw new Error(`${bits} became ${float16FromNumber(value)}`);
    }
  });

  test("rounds to the nearest, ties to even", () => {
    expect(float16FromNumber(1 + 2 ** -11)).toBe(0x3c00);
    expect(float16FromNumber(1 + 3 * 2 ** -11)).toBe(0x3c02);
    expect(float16FromNumber(2 ** -25)).toBe(0);
    expect(float16FromNumber(1.5 * 2 ** -24)).toBe(2);
    expect(float16FromNumber(65519.9)).toBe(0x7bff);
    expect(float16FromNumber(65520)).toBe(0x7c00);
    expect(float16FromNumber(-0)).toBe(0x8000);
    const halves = Float64Array.from({ length: 0x7c00 }, (_, bits) => numberFromFloat16(bits));
    fc.assert(
      fc.property(fc.double({ min: 0, max: 65504, noNaN: true }), (value) => {
        const bits = float16FromNumber(value);
        const error = Math.abs(halves[bits]! - value);
        return [bits - 1, bits + 1].every((other) => !(Math.abs((halves[other] ?? Number.NaN) - value) < error));
      }),
    );
  });
});

describe("bfloat16", () => {
  test("is the upper half of a float32, rounded to even", () => {
    expect(numberFromBfloat16(0x3f80)).toBe(1);
    expect(numberFromBfloat16(0xc040)).toBe(-3);
    expect(bfloat16FromNumber(1 + 2 ** -8)).toBe(0x3f80);
    expect(bfloat16FromNumber(1 + 3 * 2 ** -8)).toBe(0x3f82);
    expect(bfloat16FromNumber(3.4e38)).toBe(0x7f80);
    expect(numberFromBfloat16(bfloat16FromNumber(Number.NaN))).toBeNaN();
    for (let bits = 0; bits < 0x7f80; bits++) expect(bfloat16FromNumber(numberFromBfloat16(bits))).toBe(bits);
  });
});

describe("typed fields and raw_data say the same", () => {
  // [type, message with a typed field, the values]; which field holds which type: onnx.proto.
  const half = float16FromNumber;
  test.each([
    [DataType.FLOAT, { floatData: [1.5, -2] }, [1.5, -2]],
    [DataType.DOUBLE, { doubleData: [1e300, -2] }, [1e300, -2]],
    [DataType.INT8, { int32Data: [-128, 127] }, [-128, 127]],
    [DataType.UINT8, { int32Data: [0, 255] }, [0, 255]],
    [DataType.INT16, { int32Data: [-32768, 32767] }, [-32768, 32767]],
    [DataType.UINT16, { int32Data: [0, 65535] }, [0, 65535]],
    [DataType.INT32, { int32Data: [-(2 ** 31), 2 ** 31 - 1] }, [-(2 ** 31), 2 ** 31 - 1]],
    [DataType.INT64, { int64Data: [-(2 ** 53), 2 ** 53] }, [-(2 ** 53), 2 ** 53]],
    [DataType.UINT32, { uint64Data: [0, 2 ** 32 - 1] }, [0, 2 ** 32 - 1]],
    [DataType.UINT64, { uint64Data: [0, 2 ** 53] }, [0, 2 ** 53]],
    [DataType.BOOL, { int32Data: [0, 1] }, [0, 1]],
    [DataType.FLOAT16, { int32Data: [half(0.5), half(-3)] }, [0.5, -3]],
    [DataType.BFLOAT16, { int32Data: [0x3f80, 0xc040] }, [1, -3]],
    [DataType.INT4, { int32Data: [0x7f] }, [-1, 7]],
    [DataType.UINT4, { int32Data: [0x7f] }, [15, 7]],
  ] as const)("type %i", (dataType, field, values) => {
    const typed = tensorFromProto({ dataType, dims: [2], ...mutable(field) });
    expect([...toNumbers(typed)]).toEqual(values);
    const raw = tensorToProto("t", typed);
    expect(raw.rawData).toHaveLength(byteSizeOf(dataType, [2]));
    expect(tensorFromProto(raw)).toEqual({ ...typed, dims: [2] });
  });

  test("complex numbers are pairs", () => {
    const typed = tensorFromProto({ dataType: DataType.COMPLEX64, dims: [1], floatData: [1, 2] });
    expect([...(typed.data as Float32Array)]).toEqual([1, 2]);
    expect(byteSizeOf(DataType.COMPLEX64, [1])).toBe(8);
  });

  test("strings", () => {
    const proto = tensorToProto("t", makeTensor(DataType.STRING, [2], ["é", ""]));
    expect(tensorFromProto(proto).data).toEqual(["é", ""]);
  });

  test("no values", () => {
    expect(tensorFromProto({ dataType: DataType.FLOAT, dims: [0, 3] }).data).toHaveLength(0);
    expect(() => tensorFromProto({ dataType: DataType.FLOAT, dims: [2], floatData: [1] })).toThrow(
      "takes 8 bytes, got 4",
    );
  });
});

test("values that are not aligned are copied, others are viewed", () => {
  const bytes = new Uint8Array(13);
  bytes.set(tensorBytes(float32Tensor([2], [1, 2])), 5);
  expect([...(tensorFromBytes(DataType.FLOAT, [2], bytes.subarray(5)).data as Float32Array)]).toEqual([1, 2]);
  const view = tensorFromBytes(DataType.FLOAT, [2], bytes.subarray(4, 12));
  expect(view.data).toHaveProperty("buffer", bytes.buffer);
});

test("shapes that do not fit are refused", () => {
  expect(() => float32Tensor([2, 2], [1, 2, 3])).toThrow("float32 [2, 2] takes 16 bytes, got 12");
  expect(() => tensorFromBytes(DataType.INT64, [1], new Uint8Array(4))).toThrow("int64 [1] takes 8 bytes, got 4");
  expect(() => makeTensor(DataType.FLOAT, [1], ["x"])).toThrow("invalid-graph");
});

test("int64 from numbers", () => {
  expect(int64Tensor([2], [-1, 2 ** 53]).data).toEqual(BigInt64Array.of(-1n, 2n ** 53n));
  const [least, most] = [-(2n ** 63n), 2n ** 63n - 1n];
  // read as float64 and written again
  const ends = [...toNumbers(makeTensor(DataType.INT64, [2], BigInt64Array.of(most, least)))];
  expect(int64Tensor([2], ends).data).toEqual(BigInt64Array.of(most, least));
});

function mutable<T extends Readonly<Record<string, readonly number[]>>>(field: T): Record<string, number[]> {
  return Object.fromEntries(Object.entries(field).map(([name, values]) => [name, [...values]]));
}
