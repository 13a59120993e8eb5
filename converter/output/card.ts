/** The model card: README.md of the folder, with what is claimed of the model, its errors, and how it is run. */
import { describeClaim, type LayerMetadata, METADATA } from "../../src/contract.ts";
import { describeMissing, missingOf } from "../../src/missing.ts";
import { reachOf } from "../../src/reach.ts";
import type { Model } from "../graph/graph.ts";

export const CARD = "README.md";

/** A card with this line is ours, and is replaced with the folder. */
export const CARD_LINE = "<!-- Written by longconv-ssm. Without this line, the folder is not replaced any more. -->";

/** What the metadata say of the comparisons with the exported model; fields that an older converter did not write are missing. */
interface Check {
  readonly comparisons?: readonly unknown[];
  readonly largest?: number;
  readonly tolerance?: number;
  readonly weights?: { readonly kind: string; readonly rms: number; readonly sameArgmax?: number };
}

/**
 * @param files the models of the folder by name, that of all claims first
 * @param transformersJs whether stock transformers.js loads the folder
 */
export function modelCard(files: ReadonlyMap<string, Model>, transformersJs: boolean): string {
  const [model] = files.values();
  const { metadata } = model!;
  const { claim, positions } = reachOf(metadata, model!.file || undefined);
  const missing = describeMissing(missingOf(metadata, model!.file || undefined));
  const layers: readonly LayerMetadata[] = JSON.parse(metadata.get(METADATA.layers) ?? "[]");
  const { comparisons = [], largest, tolerance } = checkOf(model!);
  const error = (value: number) => (value === 0 ? "0" : value.toExponential(1));
  const tags = ["onnx", "longconv-ssm", "state-space-model"];
  const rows = layers.map(({ index, node, form, channels, lags, order, error: own, claim: known }) =>
    [
      index,
      `\`${node}\``,
      form,
      channels,
      lags,
      order,
      error(own),
      known ? describeClaim(known).replaceAll("|", "\\|") : "",
    ].join(" | "),
  );
  const kinds = [...files].flatMap(([name, each]) => {
    const { weights } = checkOf(each);
    const same = weights?.sameArgmax === undefined ? "" : `${Math.round(100 * weights.sameArgmax)} %`;
    return weights ? [`${name} | ${weights.kind} | ${error(weights.rms)} | ${same}`] : [];
  });
  return [
    "---",
    ...(transformersJs ? ["library_name: transformers.js", "pipeline_tag: text-generation"] : ["library_name: onnx"]),
    "tags:",
    ...tags.map((tag) => `- ${tag}`),
    "---",
    CARD_LINE,
    "",
    "# A recurrent model",
    "",
    `Made by longconv-ssm ${metadata.get(METADATA.converter) ?? ""} from an exported long-convolution model (SHA-256 of its file:` +
      ` \`${metadata.get(METADATA.sourceSha256) ?? "unknown"}\`): the same weights, a state of fixed size, the same cost for every token.`,
    "",
    "## What is claimed",
    "",
    `${claim ? `The model ${describeClaim(claim).replace(/^(proven|seen)/, "is $1")}.` : "Nothing."}${positions === undefined ? "" : ` It reads ${positions} positions.`}`,
    ...(missing.length > 0
      ? [`The export lacks ${missing.join(" and ")}: what this model gives there means nothing.`]
      : []),
    "",
    "## Errors",
    "",
    ...(largest === undefined
      ? []
      : [
          `${comparisons.length} comparisons with the exported model on random inputs: the largest difference is ${error(largest)} of` +
            ` the largest output (allowed: ${error(tolerance ?? 0)}).`,
          "",
        ]),
    ...tableOf("state | node | form | channels | lags | order | relative error of the kernels | claim", rows),
    ...(kinds.length > 0
      ? [
          "Weights in fewer bits change the outputs, on random inputs, by:",
          "",
          ...tableOf("file | weights | rms | same first choice", kinds),
        ]
      : []),
    "## Use",
    "",
    ...useOf([...files.keys()], transformersJs),
    "",
  ].join("\n");
}

const checkOf = ({ metadata }: Model): Check => JSON.parse(metadata.get(METADATA.check) ?? "{}");

const tableOf = (heading: string, rows: readonly string[]): string[] => [
  `| ${heading} |`,
  `|${heading.replace(/[^|]+/g, "---")}|`,
  ...rows.map((row) => `| ${row} |`),
  "",
];

function useOf([file]: readonly string[], transformersJs: boolean): string[] {
  if (!transformersJs)
    return [
      "```js",
      'import { load, step, zeroState } from "longconv-ssm/node";',
      'const model = await load("./model");',
      "let state = zeroState(model);",
      "// const { outputs, state: next } = await step(model, inputs, state);",
      "```",
      "",
      `Or with any ONNX Runtime: \`${file}\` takes each state as an input, \`past_…\`, and gives the next one as an output, \`present_…\`.`,
    ];
  return [
    "```js",
    'import { pipeline } from "@huggingface/transformers";',
    'const generate = await pipeline("text-generation", "./model");',
    'const [{ generated_text }] = await generate("In the beginning", { max_new_tokens: 100 });',
    "```",
    "",
    `Or \`npx longconv-ssm generate model/ --prompt "In the beginning"\`, or any ONNX Runtime: \`${file}\` takes each state as an input, \`past_…\`, and gives the next one as an output, \`present_…\`.`,
  ];
}
