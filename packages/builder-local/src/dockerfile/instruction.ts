import type { Pair } from './words.ts';

export type CommandForm =
  | { readonly form: 'exec'; readonly words: readonly string[] }
  | { readonly form: 'shell'; readonly text: string };

export interface Heredoc {
  readonly name: string;
  readonly body: string;
  readonly expand: boolean;
}

export interface CopyInstruction {
  readonly kind: 'copy';
  readonly keyword: 'COPY' | 'ADD';
  readonly from: string | null;
  readonly chown: string | null;
  readonly chmod: string | null;
  readonly exclude: readonly string[];
  /** ADD only: whether a tar archive is unpacked. */
  readonly unpack: boolean;
  readonly sources: readonly string[];
  readonly heredocs: readonly Heredoc[];
  readonly destination: string;
}

export interface HealthcheckInstruction {
  readonly kind: 'healthcheck';
  /** Null: NONE. */
  readonly command: CommandForm | null;
  /** Nanoseconds, by the name in the image config. */
  readonly durations: Readonly<Record<string, number>>;
  readonly retries: number | null;
}

type Parsed =
  | {
      readonly kind: 'from';
      readonly image: string;
      readonly name: string | null;
      readonly platform: string | null;
    }
  | { readonly kind: 'run' }
  | {
      readonly kind: 'arg';
      readonly arguments: readonly { readonly name: string; readonly value: string | null }[];
    }
  | { readonly kind: 'env' | 'label'; readonly pairs: readonly Pair[] }
  | { readonly kind: 'workdir' | 'user' | 'stopsignal' | 'maintainer'; readonly value: string }
  | { readonly kind: 'expose' | 'volume'; readonly words: readonly string[] }
  | { readonly kind: 'cmd' | 'entrypoint'; readonly command: CommandForm }
  | { readonly kind: 'shell'; readonly words: readonly string[] }
  | { readonly kind: 'onbuild'; readonly trigger: string }
  | CopyInstruction
  | HealthcheckInstruction;

interface Place {
  /** Starts at 1. */
  readonly line: number;
  /** One line for the log and the image's history. */
  readonly text: string;
}

export type ParsedInstruction = Parsed;

/** Adds the place to each kind, so that a kind still tells the fields. */
type Placed<Kind> = Kind extends unknown ? Kind & Place : never;

/** An instruction whose form is right; nothing is expanded yet. */
export type Instruction = Placed<Parsed>;
