import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Report, Role } from './protocol.ts';

const program = fileURLToPath(new URL('./server.ts', import.meta.url));
const startTimeoutMs = 30_000;

export interface ServerProcess extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
  used(): Promise<Extract<Report, { is: 'used' }>>;
}

export async function startServerProcess(
  role: Role,
  nodeOptions: readonly string[],
): Promise<ServerProcess> {
  const child = fork(program, { execArgv: ['--conditions=cygni-source', ...nodeOptions] });
  async function hear<Kind extends Report['is']>(
    kind: Kind,
  ): Promise<Extract<Report, { is: Kind }>> {
    const signal = AbortSignal.timeout(startTimeoutMs);
    for (;;) {
      const [said] = (await once(child, 'message', { signal })) as [Report];
      if (said.is === kind) return said as Extract<Report, { is: Kind }>;
    }
  }
  child.send(role);
  const { port, token } = await hear('ready');
  return {
    url: `http://127.0.0.1:${port}`,
    token,
    used() {
      const said = hear('used');
      child.send({});
      return said;
    },
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}
