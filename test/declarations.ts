/** Which types the declarations of an entry point name without exporting them, by the compiler's own reading. */
import path from "node:path";

/** Of the compiler's interface (5.x), what is used here; version 7, which builds the project, has none. */
interface Compiler {
  createProgram(
    files: readonly string[],
    options: object,
  ): { getTypeChecker(): Checker; getSourceFile(file: string): Node };
  forEachChild(node: Node, visit: (child: Node) => void): void;
  readonly SyntaxKind: Readonly<Record<string, number>>;
  readonly SymbolFlags: { readonly Alias: number; readonly TypeParameter: number };
  readonly ModuleKind: { readonly NodeNext: number };
}
interface Checker {
  getSymbolAtLocation(node: Node): Named | undefined;
  getExportsOfModule(module: Named): Named[];
  getAliasedSymbol(symbol: Named): Named;
}
interface Node {
  readonly kind: number;
  readonly typeName?: Node;
  readonly expression?: Node;
  readonly exprName?: Node;
  readonly left?: Node;
  getSourceFile(): { readonly fileName: string };
}
interface Named {
  readonly name: string;
  readonly flags: number;
  readonly declarations?: readonly Node[];
}

/**
 * Of each entry point, names in exported signatures, and in what these name, that it does not export: "Name (file)". A name
 * of a dependency counts; those of the language, the browser and Node do not.
 * @param root folder of the package
 * @param types folder whose node_modules has @types/node
 */
export function notExported(ts: Compiler, root: string, entries: readonly string[], types: string): string[][] {
  const program = ts.createProgram(entries, {
    module: ts.ModuleKind.NodeNext,
    lib: ["lib.es2022.d.ts", "lib.dom.d.ts"],
    types: ["node"],
    typeRoots: [path.join(types, "node_modules/@types")],
  });
  const checker = program.getTypeChecker();
  return entries.map((entry) => missingFrom(ts, checker, root, program.getSourceFile(entry)));
}

function missingFrom(ts: Compiler, checker: Checker, root: string, entry: Node): string[] {
  const meant = (symbol: Named) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol);
  const isPlatform = (file: string) => /node_modules\/(@types|undici-types|typescript[^/]*)\//.test(file);
  const seen = new Set(checker.getExportsOfModule(checker.getSymbolAtLocation(entry)!).map(meant));
  const missing: string[] = [];
  const { TypeReference, ExpressionWithTypeArguments, TypeQuery } = ts.SyntaxKind;
  const visit = (node: Node): void => {
    if ([TypeReference, ExpressionWithTypeArguments, TypeQuery].includes(node.kind)) {
      let name = (node.typeName ?? node.expression ?? node.exprName)!;
      // of a namespace, which is what an entry point exports
      while (name.left) name = name.left;
      const symbol = checker.getSymbolAtLocation(name);
      if (symbol) note(meant(symbol));
    }
    ts.forEachChild(node, visit);
  };
  const note = (symbol: Named): void => {
    const file = symbol.declarations?.[0]?.getSourceFile().fileName;
    if (file === undefined || isPlatform(file) || symbol.flags & ts.SymbolFlags.TypeParameter || seen.has(symbol))
      return;
    seen.add(symbol);
    if (!isMember(symbol)) missing.push(`${symbol.name} (${path.relative(root, file)})`);
    symbol.declarations?.forEach(visit);
  };
  /** Of a namespace that is exported. */
  const isMember = (symbol: Named) => seen.has((symbol as { readonly parent?: Named }).parent as Named);
  for (const symbol of [...seen]) symbol.declarations?.forEach(visit);
  return missing;
}
