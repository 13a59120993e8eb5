/** The kinds of state beside long convolutions: one row a kind, in the order in which they are asked. */
import type { Kind } from "../find/carried.ts";
import type { RefusedOpening } from "../find/region.ts";
import { ATTENTION } from "./attention/attention.ts";
import { late } from "./late/late.ts";
import { MEETING } from "./meeting/meeting.ts";
import { PRODUCT } from "./product/product.ts";
import { endsWhereToldTo, RECURRENT } from "./recurrent/recurrent.ts";
import { ROWS } from "./rows/rows.ts";
import { LINEAR } from "./scan/linear.ts";
import { SCAN } from "./scan/scan.ts";
import { SUM } from "./sum/sum.ts";
import { POOLED } from "./total/pooled.ts";
import { TOTAL } from "./total/total.ts";

export const KINDS: readonly Kind<RefusedOpening>[] = [
  late(RECURRENT, endsWhereToldTo),
  late(LINEAR),
  late(SCAN),
  late(SUM),
  late(PRODUCT),
  late(TOTAL),
  POOLED,
  ATTENTION,
  MEETING,
  ROWS,
];
