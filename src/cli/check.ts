/** `longconv-ssm check MODEL` */
import type { Command } from "commander";
import { type ContractReport, checkContract } from "../../converter/contract/contract.ts";
import { type Finding, RULES } from "../../converter/contract/rules.ts";
import { readModel } from "../../converter/file/read.ts";
import type { Model } from "../../converter/graph/graph.ts";
import { modelFileOf } from "../../converter/output/beside.ts";
import { renameStates } from "../../converter/rename/rename.ts";
import { describeClaim } from "../contract.ts";
import { LongConvError } from "../errors.ts";
import { describePairs, pairByName, type ToldStates } from "../stateful.ts";
import { newCommand, withAction } from "./command.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { told } from "./values.ts";

/** The command's arguments and examples. */
export function checkCommand(): Command {
  const command = newCommand("check", "Say whether a model keeps the state contract, whoever made it.", [
    ["longconv-ssm check recurrent.onnx", "names, pairs, types, shapes, zero start, aliasing, metadata; and its claim"],
    ["longconv-ssm check model/ --json", "the same for a program; exit code 6 where a rule is broken"],
  ])
    .argument("<model>", "a .onnx file, or a folder with onnx/model.onnx or model.onnx")
    .option("--state <input=output>", "which output a state goes on from; may be repeated", told);
  return withAction(command, run);
}

async function run(terminal: Terminal, given: string, { state }: { readonly state?: ToldStates }): Promise<void> {
  const file = modelFileOf(given);
  const report = reportOf(await readModel(file), state);
  const states = report.states.map(({ past, present, dims }) => [past, present, `[${dims?.join(", ") ?? "?"}]`]);
  const lines = RULES.map((rule) => {
    const found = report.findings.filter((finding) => finding.rule === rule);
    const verdict = found.some(({ breaks }) => breaks) ? "broken" : "kept";
    return [`${rule.padEnd(12)}${verdict}`, ...found.map((finding) => `  ${sentence(finding)}`)].join("\n");
  });
  const { claim, positions } = report;
  const limits = [
    ...(claim ? [`claim       ${describeClaim(claim)}`] : []),
    ...(positions ? [`positions   ${positions}, and no more`] : []),
  ];
  terminal.print(
    [
      ...(states.length ? [table([["past", "present", "shape"], ...states]), ""] : []),
      ...limits,
      ...(limits.length ? [""] : []),
      ...lines,
    ].join("\n"),
  );
  terminal.result({ file, ...report });
  if (report.kept) return;
  const first = report.findings.find(({ breaks }) => breaks)!;
  const count = report.findings.filter(({ breaks }) => breaks).length;
  const more = count > 1 ? `, and ${count - 1} more` : "";
  const reason = `does not keep the state contract: ${first.reason}${more}`;
  throw new LongConvError("not-converted", reason, { file, tensor: first.tensor }, "See docs/state-contract.md.");
}

/** Of a model whose states have other names: as it would be under those of the contract. */
function reportOf(model: Model, told: ToldStates | undefined): ContractReport {
  const [inputs, outputs] = [model.graph.inputs, model.graph.outputs].map((infos) => infos.map(({ name }) => name));
  const pairs = pairByName(inputs!, outputs!, told, model.file);
  const other = pairs.filter(({ past }) => !past.startsWith("past_"));
  if (other.length === 0) return checkContract(model);
  const report = checkContract(renameStates(model, { states: told }).model);
  const reason = `not converted by longconv-ssm: its states have other names (${describePairs(other)}). The runtime drives it as it is; \`longconv-ssm rename\` writes it under those of the contract, as which it is checked here`;
  return { ...report, findings: [{ rule: "pairs", breaks: false, reason }, ...report.findings] };
}

const sentence = ({ breaks, tensor, reason }: Finding): string =>
  `${breaks ? "" : "(remark) "}${tensor === undefined ? "" : `'${tensor}' `}${reason}`;
