/** Entry point `longconv-ssm`: the contract and the errors, free of any runtime. */
export * from "./contract.ts";
export * from "./errors.ts";
