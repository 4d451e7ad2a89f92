import { describe, expect, it } from 'vitest';
import type { Files } from './support/archive.ts';
import { useAssembler } from './support/assembling.ts';

const assembler = useAssembler();

describe('a RUN', () => {
  it('is refused before anything is pulled or built, with its line and who could do it', async () => {
    const { outcome, lines } = await assembler.run(
      'FROM 127.0.0.1:1/acme/nothing\nCOPY a /\n\nRUN npm ci && \\\n  npm run build\n',
      { a: '1' },
    );
    expect(outcome).toEqual({
      status: 'failed',
      reason: 'user_error',
      message:
        'Dockerfile line 4: RUN npm ci && npm run build: RUN needs an engine that runs containers (docker, podman, buildah or kaniko); this builder only assembles files',
    });
    expect(lines).toHaveLength(1);
    expect(assembler.pipeline.pipeline.supports.run).toBe(false);
  });
});

describe('what is wrong in a Dockerfile is the tenant’s fault, and its line is named', () => {
  const cases: readonly {
    readonly dockerfile: string;
    readonly says: string;
    readonly files?: Files;
  }[] = [
    { dockerfile: 'FROM scratch\nFROG a\n', says: 'line 2: unknown instruction FROG' },
    {
      dockerfile: 'FROM scratch\n\nCOPY --mount=x a /\n',
      says: 'line 3: unknown flag --mount of COPY',
    },
    { dockerfile: 'FROM scratch\nCOPY --chown a /\n', says: 'line 2: --chown needs a value' },
    { dockerfile: 'FROM scratch\nCOPY a\n', says: 'line 2: COPY needs at least one source' },
    { dockerfile: 'FROM scratch\nCOPY a b /x\n', says: 'line 2: COPY with more than one source' },
    {
      dockerfile: 'FROM scratch\nCOPY missing /\n',
      says: 'line 2: COPY missing /: /missing was not found',
    },
    {
      dockerfile: 'FROM scratch\nADD https://example.org/x /\n',
      says: 'line 2: ADD of an address',
    },
    {
      dockerfile: 'FROM scratch\nCOPY --from=1 a /\n',
      says: 'line 2: --from=1: there is no such stage',
    },
    {
      dockerfile: 'FROM scratch\nCOPY --chown=app a /\n',
      says: 'line 2: COPY --chown=app a /: the image has no user "app"',
      files: { a: '1' },
    },
    {
      dockerfile: 'FROM scratch\nCOPY --chmod=u+x a /\n',
      says: 'line 2: COPY --chmod=u+x a /: --chmod=u+x is not an octal',
      files: { a: '1' },
    },
    {
      dockerfile: 'FROM scratch\nCOPY a /x\nCOPY d /x\n',
      says: 'line 3: COPY d /x: cannot copy a directory over /x',
      files: { a: '1', 'd/e': '2' },
    },
    { dockerfile: 'FROM scratch\nENV A=${A\n', says: 'line 2: ENV A=${A: missing }' },
    { dockerfile: 'FROM scratch\nENV A=${A#x}\n', says: 'unsupported modifier "#"' },
    {
      dockerfile: 'FROM scratch\nEXPOSE 70000\n',
      says: 'line 2: EXPOSE 70000: 70000 is not a port',
    },
    { dockerfile: 'FROM scratch\nSHELL /bin/sh\n', says: 'line 2: SHELL needs the JSON form' },
    {
      dockerfile: 'FROM scratch\nHEALTHCHECK --interval=1 CMD x\n',
      says: 'line 2: --interval is a duration',
    },
    { dockerfile: 'FROM scratch\nONBUILD FROM x\n', says: 'line 2: ONBUILD FROM is not allowed' },
    {
      dockerfile: 'FROM --platform=linux/s390x scratch\n',
      says: 'line 1: this builder makes images for linux/',
    },
    {
      dockerfile: 'FROM a/UPPER\nCOPY a /\n',
      says: 'line 1: FROM a/UPPER: "a/UPPER" is not an image reference',
    },
    { dockerfile: 'FROM $NOTHING\n', says: 'line 1: FROM names no image' },
    {
      dockerfile: 'COPY a /\nFROM scratch\n',
      says: 'line 1: only ARG may stand before the first FROM',
    },
    { dockerfile: 'FROM scratch\nCOPY <<EOF /x\nnever ends\n', says: 'the heredoc EOF has no end' },
    { dockerfile: '# nothing\n', says: 'the Dockerfile has no instructions' },
    { dockerfile: 'ENV A=1\n', says: 'the Dockerfile has no FROM' },
  ];

  it.each(cases)('$says', async ({ dockerfile, says, files }) => {
    const failed = await assembler.failure(dockerfile, files);
    expect(failed).toMatchObject({ reason: 'user_error', message: expect.stringContaining(says) });
  });

  it('also a target, a Dockerfile and a tar compression that are not there', async () => {
    expect(await assembler.failure('FROM scratch\n', {}, { target: 'x' })).toMatchObject({
      reason: 'user_error',
      message: 'the Dockerfile has no stage "x"',
    });
    expect(
      await assembler.failure('FROM scratch\n', {}, { dockerfile: 'a/Dockerfile' }),
    ).toMatchObject({
      reason: 'user_error',
      message: 'a/Dockerfile was not found in the source archive',
    });
    const bzip2 = { a: Buffer.from('BZh91AY&SY') };
    expect(await assembler.failure('FROM scratch\nADD a /\n', bzip2)).toMatchObject({
      reason: 'user_error',
      message: expect.stringContaining('line 2: ADD a /: ADD of a file compressed by bzip2'),
    });
  });
});

describe('a Dockerfile made to hurt ends soon', () => {
  const doubling = Array.from({ length: 40 }, (_, n) => `ENV A${n + 1}=$A${n}$A${n}`).join('\n');
  const cases: readonly {
    readonly title: string;
    readonly dockerfile: string;
    readonly says: string;
  }[] = [
    {
      title: 'variables that double',
      dockerfile: `FROM scratch\nENV A0=aaaaaaaa\n${doubling}\n`,
      says: 'more than 256 KiB',
    },
    {
      title: 'nested substitutions',
      dockerfile: `FROM scratch\nENV A=${'${A:-'.repeat(20_000)}\n`,
      says: 'nested over 50 deep',
    },
    {
      title: 'a large file',
      dockerfile: `FROM scratch\n#${'x'.repeat(300_000)}\n`,
      says: 'larger than 256 KiB',
    },
  ];
  it.each(cases)('$title', async ({ dockerfile, says }) => {
    const start = performance.now();
    const failed = await assembler.failure(dockerfile);
    expect(failed).toMatchObject({ reason: 'user_error', message: expect.stringContaining(says) });
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it('patterns that a backtracking matcher would never finish', async () => {
    const name = 'a'.repeat(200);
    const start = performance.now();
    const built = await assembler.image(`FROM scratch\nCOPY ${'*a'.repeat(60)}b ${name} /\n`, {
      [name]: '1',
      '.dockerignore': `${'**/*a'.repeat(60)}b\n`,
    });
    expect(Object.keys(built.files)).toEqual([name]);
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

describe('a base image', () => {
  it('that is not there, or whose registry does not answer, is image_pull', async () => {
    for (const reference of ['HOST/acme/nothing:1', '127.0.0.1:1/acme/nothing']) {
      const failed = await assembler.failure(`FROM ${reference}\nCOPY . /\n`);
      expect(failed).toMatchObject({
        reason: 'image_pull',
        message: expect.stringContaining('cannot pull'),
      });
    }
  });
});
