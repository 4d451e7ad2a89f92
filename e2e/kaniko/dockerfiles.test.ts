import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type RunningServer, type Scene, setScene } from '../support/scene.ts';
import { uncached } from '../support/uncached.ts';

const services = inject('services');

describe('what a Dockerfile may ask of a kaniko build', () => {
  let scene: Scene;
  let server: RunningServer;
  beforeAll(async () => {
    scene = await setScene(services);
    server = await scene.startServer({ REGISTRY_URL: `http://${services.cluster.registry}` });
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  /** Builds, expects it to go well, and returns its log. */
  async function build(
    files: Readonly<Record<string, string | Uint8Array>>,
    request: object = {},
  ): Promise<string> {
    const repository = scene.namespace.name;
    const context = Object.fromEntries(
      Object.entries(files).map(([name, content]) => [
        name,
        name.endsWith('Dockerfile') ? uncached(String(content)) : content,
      ]),
    );
    const { id } = await server.api.build(context, { repository, ...request });
    const log = await server.api.readLog(id);
    const { failure, image } = await server.api.finish(id);
    expect(failure, log).toBeNull();
    expect(image?.digest).toMatch(/^sha256:/);
    return log;
  }

  it('several stages on node:24 and debian:12', async () => {
    const log = await build({
      Dockerfile: `FROM node:24 AS build
COPY message.js /message.js
RUN node /message.js > /message.txt
FROM debian:12
COPY --from=build /message.txt /message.txt
RUN test "$(cat /message.txt)" = "made by 24" && grep -q bookworm /etc/os-release && echo both stages ran
`,
      'message.js': `console.log('made by ' + process.versions.node.split('.')[0])`,
    });
    expect(log).toMatch(/^both stages ran$/m);
  });

  it('a .dockerignore, so that what it names is not in the image', async () => {
    const log = await build({
      '.dockerignore': 'secret.txt\nnode_modules\n!node_modules/kept.txt\n',
      'secret.txt': 'hunter2',
      'node_modules/big.txt': 'x',
      'node_modules/kept.txt': 'x',
      'app.txt': 'x',
      Dockerfile: 'FROM busybox:1\nCOPY . /app\nRUN find /app -type f | sort | tr "\\n" " "\n',
    });
    expect(log).toContain('/app/app.txt');
    expect(log).toContain('/app/node_modules/kept.txt');
    expect(log).not.toContain('/app/secret.txt');
    expect(log).not.toContain('/app/node_modules/big.txt');
  });

  it('build arguments with spaces, quotes and equals signs, as they were given', async () => {
    const value = `a b="c" 'd'=$HOME; e\\f`;
    const log = await build(
      {
        Dockerfile:
          'FROM busybox:1\nARG VALUE\nARG EMPTY=default\nRUN env | grep -e VALUE= -e EMPTY=\n',
      },
      { buildArguments: { VALUE: value, EMPTY: '' } },
    );
    expect(log).toContain(`VALUE=${value}`);
    expect(log).toMatch(/^EMPTY=$/m);
  });

  it('a target stage, and nothing of the stages after it', async () => {
    const log = await build(
      {
        Dockerfile:
          'FROM busybox:1 AS wanted\nRUN echo the wanted stage\nFROM busybox:1\nRUN echo the last stage; exit 1\n',
      },
      { target: 'wanted' },
    );
    expect(log).toMatch(/^the wanted stage$/m);
    expect(log).not.toMatch(/^the last stage$/m);
  });

  it('a Dockerfile elsewhere in the context, with paths from the root of the context', async () => {
    const log = await build(
      {
        'deploy/images/app.Dockerfile': 'FROM busybox:1\nCOPY app.txt /\nRUN cat /app.txt\n',
        'app.txt': 'from the root\n',
      },
      { dockerfile: 'deploy/images/app.Dockerfile' },
    );
    expect(log).toMatch(/^from the root$/m);
  });

  it('a context of 200 MB', async () => {
    const size = 200_000_000;
    const log = await build({
      'big.bin': randomBytes(size),
      Dockerfile: 'FROM busybox:1\nCOPY big.bin /\nRUN wc -c < /big.bin\n',
    });
    expect(log).toMatch(new RegExp(`^${size}$`, 'm'));
  });

  it('the layers of an earlier build', async () => {
    const files = {
      Dockerfile: `FROM busybox:1\nRUN echo ${randomBytes(8).toString('hex')} > /unique && echo this step ran\n`,
    };
    expect(await build(files)).toMatch(/^this step ran$/m);
    const second = await build(files);
    expect(second).toMatch(/using cach/i);
    expect(second).not.toMatch(/^this step ran$/m);
  });
});
