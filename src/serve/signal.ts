/** What a model of signals takes from its stream: chunks of one input of float32, and numbers that are said when it is opened. */
import type { InputSpec, Model } from "../../runtime/node.ts";
import { ApiError, invalid } from "./errors.ts";
import type { Served } from "./served.ts";

type Feeds = Parameters<Model["run"]>[0];

/** How a message becomes the model's main input. */
export interface Signal {
  readonly input: InputSpec;
  /** The axis that is as long as the message says; undefined where a message holds one chunk of fixed sizes. */
  readonly openAxis: number | undefined;
  /** Whether that axis is time: else a message is one position. */
  readonly isTime: boolean;
  /** With the batch of 1, and 0 on the open axis. */
  readonly dims: readonly number[];
  /** Numbers of a message, or what they must be a multiple of. */
  readonly frame: number;
  /** The model's other inputs. */
  readonly scalars: Feeds;
}

/** The query of a stream: the model, and a number for each further input. */
export interface StreamQuery {
  readonly model: string;
  readonly [input: string]: string;
}

/** @throws ApiError for a model that takes no signal of float32, or several; for numbers that are missing, or of no input */
export function signalOf({ id, model }: Served, { model: _, ...said }: StreamQuery): Signal {
  const refuse = (why: string) => new ApiError(400, "no_stream", `'${id}' cannot be streamed: ${why}`, "model");
  if (model.language) throw refuse("it is a language model, for /v1/completions");
  const [input, ...more] = model.inputs.filter((each) => !isScalar(each));
  if (!input || more.length > 0) throw refuse("beside its states and single numbers it must have one input");
  if (!input.isTensor || input.type !== "float32") throw refuse(`its input '${input.name}' must be float32`);
  if (model.outputs.some((output) => !output.isTensor || output.type !== "float32"))
    throw refuse("its outputs must be float32");
  if ((model.batchSize ?? 1) !== 1) throw refuse(`it takes ${model.batchSize} sequences at a time`);
  const batch = batchOf(input, model);
  const open = input.shape.flatMap((size, axis) => (typeof size === "number" || axis === batch ? [] : [axis]));
  if (open.length > 1)
    throw refuse(`sizes of '${input.name}' are not fixed: ${open.map((k) => `axis ${k}`).join(", ")}`);
  const [openAxis] = open;
  const dims = input.shape.map((size, axis) => (axis === openAxis ? 0 : typeof size === "number" ? size : 1));
  const frame = dims.reduce((product, size, axis) => (axis === openAxis ? product : product * size), 1);
  const isTime = openAxis !== undefined && (openAxis === input.timeAxis || openAxis === 0);
  const scalars = scalarsOf(model, said);
  return { input, openAxis, isTime, dims, frame, scalars };
}

/** As the model names it, or axis 0 where its states take any batch: with states of one sequence, axis 0 has its frames. */
const batchOf = ({ batchAxis, timeAxis }: InputSpec, { batchSize }: Model): number | undefined =>
  batchAxis ?? (batchSize === undefined && timeAxis !== 0 ? 0 : undefined);

const isScalar = ({ shape, type, timeAxis }: InputSpec): boolean =>
  timeAxis === undefined && Object.hasOwn(DATA, type) && (shape.length === 0 || (shape.length === 1 && shape[0] === 1));

const DATA = {
  float32: (value: number) => Float32Array.of(value),
  int32: (value: number) => Int32Array.of(value),
  int64: (value: number) => BigInt64Array.of(BigInt(value)),
} as const;

function scalarsOf(model: Model, said: Readonly<Record<string, string>>): Feeds {
  const scalars = model.inputs.filter(isScalar);
  const other = Object.keys(said).find((name) => !scalars.some((each) => each.name === name));
  if (other !== undefined) throw invalid(other, "is no single number that the model takes");
  return Object.fromEntries(
    scalars.map(({ name, type, shape }) => {
      const value = Number(said[name] || Number.NaN);
      const isRight = type === "float32" ? Number.isFinite(value) : Number.isSafeInteger(value);
      if (!isRight)
        throw invalid(name, `is a number that the model takes (${type}): say it in the address, &${name}=…`);
      return [name, new model.backend.Tensor(type, DATA[type as keyof typeof DATA](value), shape as number[])];
    }),
  );
}
