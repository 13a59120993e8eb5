/** The order in which the files of tests start: the longest first, so that the workers end together. */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files of more than half a minute, the longest first; Chromium, which the first may install, is there for the others. */
const LONGEST = [
  "test/web/web",
  "test/writing/writing",
  "src/cli/cli",
  "test/stream",
  "test/zoo",
  "test/deploy/demo",
  "test/readme",
  "test/claims",
  "src/cli/reach",
  "src/cli/output",
  "test/late",
  "test/fuzz/fuzz",
  "test/web/turns",
  "converter/certify/roundoff",
  "test/declarations",
  "test/web/page-text",
  "src/cli/bench",
  "test/hostile",
  "test/front",
  "src/cli/streams",
  "src/cli/badinput",
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other));
  }
}
