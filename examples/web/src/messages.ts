/** What the page and its worker say to each other. */

export type Provider = "wasm" | "webgpu";

export type Request =
  /** A URL of a folder, or the files of one. */
  | {
      readonly kind: "load";
      readonly source: string | ReadonlyMap<string, File>;
      readonly exported?: string;
      readonly provider: Provider;
    }
  | {
      readonly kind: "generate";
      readonly prompt: string;
      readonly temperature: number;
      readonly maxNewTokens: number;
      readonly compare: boolean;
    }
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
      readonly backend: string;
      readonly canCompare: boolean;
      /** Without a tokenizer, prompt and text are token ids. */
      readonly hasTokenizer: boolean;
    }
  | { readonly kind: "token"; readonly text: string; readonly position: number; readonly ms: number }
  /** One run of the exported graph over the whole text so far. */
  | { readonly kind: "exported"; readonly position: number; readonly ms: number }
  | { readonly kind: "fallback"; readonly why: string; readonly backend: string }
  /** `end`: in words, where the model ends here, or what is claimed of it does. */
  | { readonly kind: "done"; readonly end: string | undefined }
  | { readonly kind: "failed"; readonly message: string };
