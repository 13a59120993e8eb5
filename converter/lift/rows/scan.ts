/** Scan of opset 8, which runs once for every sequence of a batch. */
import { notLifted, type Row } from "./row.ts";

const Scan: Row = {
  before: 9,
  rewrite(site) {
    throw notLifted(
      site,
      "it takes the batch apart and has lengths of sequences, which no later Scan does",
      "Export the model again with opset 9 or later.",
    );
  },
};

export const SCAN: Readonly<Record<string, Row>> = { Scan };
