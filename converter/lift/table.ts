/** The table of lifts: one row an operator that is said otherwise at an opset that runs. */

import { AXES } from "./rows/axes.ts";
import { CUTTING } from "./rows/cutting.ts";
import { RESIZE } from "./rows/resize.ts";
import type { Row } from "./rows/row.ts";
import { SCALARS } from "./rows/scalars.ts";
import { SCAN } from "./rows/scan.ts";
import { SOFTMAX } from "./rows/softmax.ts";
import { STATEFUL } from "./rows/stateful.ts";

export const ROWS: Readonly<Record<string, Row>> = {
  ...AXES,
  ...CUTTING,
  ...RESIZE,
  ...SCALARS,
  ...SCAN,
  ...SOFTMAX,
  ...STATEFUL,
};
