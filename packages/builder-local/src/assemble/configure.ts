import { userError } from '../build-fault.ts';
import type {
  CommandForm,
  HealthcheckInstruction,
  Instruction,
} from '../dockerfile/instruction.ts';
import type { StageState } from './stage-state.ts';

const port = /^([0-9]{1,5})(?:-([0-9]{1,5}))?(?:\/(tcp|udp|sctp))?$/i;

export interface ConfigureInput {
  readonly state: StageState;
  readonly expand: (word: string) => string;
  readonly argument: (name: string, fallback: string | null) => string | undefined;
}

/** Does an instruction that changes only the image's config. @returns false: it is of another kind */
export function configure(instruction: Instruction, input: ConfigureInput): boolean {
  const { state, expand } = input;
  const { config } = state;
  switch (instruction.kind) {
    case 'arg':
      for (const { name, value } of instruction.arguments) {
        const chosen = input.argument(name, value);
        if (chosen !== undefined) state.arguments.set(name, chosen);
      }
      return true;
    case 'env': {
      const pairs = instruction.pairs.map(
        ({ name, value }) => [expand(name), expand(value)] as const,
      );
      for (const [name, value] of pairs) state.environment.set(name, value);
      return true;
    }
    case 'label':
      config.Labels = {
        ...config.Labels,
        ...Object.fromEntries(
          instruction.pairs.map(({ name, value }) => [expand(name), expand(value)]),
        ),
      };
      return true;
    case 'user':
      config.User = expand(instruction.value);
      return true;
    case 'stopsignal':
      config.StopSignal = expand(instruction.value);
      return true;
    case 'maintainer':
      state.author = instruction.value;
      return true;
    case 'expose':
      config.ExposedPorts = {
        ...config.ExposedPorts,
        ...toSet(instruction.words.flatMap((word) => readPorts(expand(word)))),
      };
      return true;
    case 'volume':
      config.Volumes = {
        ...config.Volumes,
        ...toSet(instruction.words.map((word) => readVolume(expand(word)))),
      };
      return true;
    case 'shell':
      config.Shell = instruction.words;
      return true;
    case 'cmd':
      config.Cmd = commandLine(instruction.command, config.Shell);
      state.hasCommand = true;
      return true;
    case 'entrypoint':
      config.Entrypoint = commandLine(instruction.command, config.Shell);
      // A command of the base image is an argument of the base image's entry point.
      if (!state.hasCommand) delete config.Cmd;
      return true;
    case 'healthcheck':
      config.Healthcheck = readHealthcheck(instruction);
      return true;
    case 'onbuild':
      config.OnBuild = [...(config.OnBuild ?? []), instruction.trigger];
      return true;
    default:
      return false;
  }
}

function commandLine(command: CommandForm, shell: readonly string[] | undefined) {
  if (command.form === 'exec') return command.words;
  return [...(shell ?? ['/bin/sh', '-c']), command.text];
}

function readHealthcheck({ command, durations, retries }: HealthcheckInstruction): object {
  if (!command) return { Test: ['NONE'] };
  const test = command.form === 'exec' ? ['CMD', ...command.words] : ['CMD-SHELL', command.text];
  return { Test: test, ...durations, ...(retries === null ? {} : { Retries: retries }) };
}

function readPorts(expanded: string): readonly string[] {
  return expanded
    .split(/\s+/)
    .filter((word) => word !== '')
    .flatMap((word) => {
      const [, first = '', last = first, protocol = 'tcp'] = port.exec(word) ?? [];
      const [low, high] = [Number(first), Number(last)];
      if (first === '' || low > high || high > 65535) throw userError(`${word} is not a port`);
      return Array.from(
        { length: high - low + 1 },
        (_, index) => `${low + index}/${protocol.toLowerCase()}`,
      );
    });
}

function readVolume(path: string): string {
  if (path.trim() === '') throw userError('VOLUME needs a path');
  return path;
}

function toSet(names: readonly string[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}
