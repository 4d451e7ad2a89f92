import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { bundle } from '../bundle.ts';
import { guardedRegistry } from './support/guarded-registry.ts';
import { configurationFor } from './support/proxy.ts';

/** The program as the image has it: one file. */
async function start(content: unknown) {
  const directory = await mkdtemp(path.join(tmpdir(), 'cygni-proxy-process-'));
  const program = path.join(directory, 'proxy.cjs');
  await bundle(program);
  const file = path.join(directory, 'proxy.json');
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  const child = spawn(process.execPath, [program], {
    env: { CYGNI_PROXY_CONFIG: file },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const [line] = await once(createInterface(child.stdout), 'line');
  return {
    child,
    ended,
    first: JSON.parse(String(line)) as Record<string, unknown>,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

describe('the proxy as a process', () => {
  it('listens on the loopback only, and ends on SIGTERM', async () => {
    await using registry = await guardedRegistry();
    const content = { ...configurationFor(registry, registry.issue()), port: 0 };
    await using proxy = await start(content);
    expect(proxy.first).toEqual({ event: 'listening', port: expect.any(Number) });
    const port = Number(proxy.first.port);
    expect((await fetch(`http://127.0.0.1:${port}/v2/`)).status).toBe(200);
    const outside = Object.values(networkInterfaces())
      .flat()
      .find((each) => each && !each.internal && each.family === 'IPv4');
    if (outside) {
      const [error] = await once(connect(port, outside.address), 'error');
      expect(error).toMatchObject({ code: 'ECONNREFUSED' });
    }
    // An idle connection does not hold it.
    const idle = connect(port, '127.0.0.1');
    await once(idle, 'connect');
    proxy.child.kill('SIGTERM');
    expect(await proxy.ended).toEqual([0, null]);
    idle.destroy();
  });

  it('ends with 1 and one line that shows nothing, if its configuration is no configuration', async () => {
    await using proxy = await start('{"password":"canary');
    expect(proxy.first).toEqual({
      event: 'error',
      reason: 'invalid_configuration',
      message: 'the configuration is not JSON',
    });
    expect(await proxy.ended).toEqual([1, null]);
  });
});
