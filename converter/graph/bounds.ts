/** The bounds of the numbers that come from a file: each passes here once, and is then what the code takes it for. */
import { LongConvError } from "../../src/errors.ts";
import { int64 } from "./schema.ts";

/** A tensor has no more axes; ONNX Runtime's own tensors have fewer. */
const MOST_AXES = 64;
/** No axis is longer: a type's largest array in JavaScript has as many elements. */
const LONGEST_AXIS = 2 ** 32;
/** Bytes of one tensor of which offsets are still exact. */
const MOST_ELEMENTS = 2 ** 45;

const REMEDY = "Export the model again; the file is damaged or was edited by hand.";

const wrong = (reason: string, tensor: string | undefined): LongConvError =>
  new LongConvError("invalid-graph", reason, { tensor: tensor || undefined }, REMEDY);

/**
 * The shape of a tensor whose values are in the file.
 * @throws LongConvError `invalid-graph` for dimensions that no tensor has, alone or together
 */
export function shapeOf(dims: readonly unknown[] | null | undefined, tensor?: string | null): number[] {
  const sizes = (dims ?? []).map((dim) => dimension(dim, tensor ?? undefined));
  if (sizes.length > MOST_AXES) throw wrong(`a tensor of ${sizes.length} axes; at most ${MOST_AXES} are read`, tensor!);
  // an axis without elements does not make the others right
  const elements = sizes.reduce((product, size) => product * Math.max(1, size), 1);
  if (elements <= MOST_ELEMENTS) return sizes;
  throw wrong(`a tensor of shape [${sizes.join(", ")}] has more elements than any memory`, tensor ?? undefined);
}

/**
 * A number that is the size of an axis.
 * @throws LongConvError `invalid-graph` where it is negative, or larger than any tensor
 */
export function dimension(value: unknown, tensor?: string): number {
  const size = int64(value);
  if (size >= 0 && size <= LONGEST_AXIS) return size;
  throw wrong(`a dimension of ${String(value)}; dimensions go from 0 to ${LONGEST_AXIS}`, tensor);
}

/** Attributes that count axes, by what they must be less than. */
const AXES: ReadonlySet<string> = new Set(["axis", "axes", "perm", "batch_dims", "time_axis", "batch_axis"]);
/** Attributes that are sizes in elements, all of which ONNX Runtime multiplies with one another. */
const SIZES: ReadonlySet<string> = new Set(["kernel_shape", "strides", "dilations", "pads", "group", "hidden_size"]);

/**
 * An INT attribute, or one of INTS.
 * @throws LongConvError `invalid-graph` for an axis that no tensor has, and a size beyond what sizes can be
 */
export function attributeInteger(name: string, value: unknown): number {
  const number = int64(value);
  const most = AXES.has(name) ? MOST_AXES : SIZES.has(name) ? LONGEST_AXIS / 2 : Number.POSITIVE_INFINITY;
  if (Math.abs(number) <= most) return number;
  throw wrong(`${name} is ${String(value)}; it goes from ${-most} to ${most}`, undefined);
}

/**
 * A place in a file, or a length, as external data spell them: decimal digits.
 * @throws LongConvError `invalid-graph` for any other text, and for a number that is not exact
 */
export function byteCount(key: string, text: string | null | undefined, tensor?: string | null): number {
  const count = /^\d{1,16}$/.test(text ?? "") ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(count)) return count;
  throw wrong(
    `external data with the ${key} ${JSON.stringify(text)}, which is no number of bytes`,
    tensor ?? undefined,
  );
}
