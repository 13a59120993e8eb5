/** What the page and its worker say to each other. */

export type Provider = "wasm" | "webgpu";

/** A model: the URL of a folder, or files by their names. */
export interface ModelSource {
  /** For the reader. */
  readonly name: string;
  readonly source: string | ReadonlyMap<string, File>;
  /** Where it is not one of the names that a folder has. */
  readonly modelFile?: string | undefined;
  /** URL of the graph that it was converted from. */
  readonly exported?: string;
}

export interface Settings {
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
  readonly maxNewTokens: number;
  /** Time the exported graph on the same text afterwards. */
  readonly compare: boolean;
}

export type Request =
  | { readonly kind: "load"; readonly model: ModelSource; readonly provider: Provider }
  | { readonly kind: "generate"; readonly prompt: string; readonly settings: Settings }
  /** Go on after so many tokens of the text that was written. */
  | { readonly kind: "go on"; readonly place: number; readonly settings: Settings }
  | { readonly kind: "stop" };

export type Reply =
  | {
      readonly kind: "progress";
      readonly file: string;
      readonly loadedBytes: number;
      readonly totalBytes: number | undefined;
    }
  | {
      readonly kind: "loaded";
      readonly stateBytes: number;
      readonly vocabulary: number;
      readonly backend: string;
      readonly canCompare: boolean;
      /** Without a tokenizer, prompt and text are token ids. */
      readonly hasTokenizer: boolean;
    }
  /** Position: tokens read and written so far. Ms: since the token before. */
  | { readonly kind: "token"; readonly text: string; readonly position: number; readonly ms: number }
  /** The text is written; what follows is the exported graph's time. */
  | { readonly kind: "written" }
  /** One run of the exported graph over the text's first tokens. */
  | { readonly kind: "exported"; readonly position: number; readonly ms: number }
  | { readonly kind: "fallback"; readonly why: string; readonly backend: string }
  /** `end`: in words, where the model ends here, or what is claimed of it does. */
  | { readonly kind: "done"; readonly stopped: boolean; readonly end: string | undefined }
  | { readonly kind: "failed"; readonly message: string };
