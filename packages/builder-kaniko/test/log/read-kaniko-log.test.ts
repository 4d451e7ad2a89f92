import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createKanikoLogReader } from '../../src/log/read-kaniko-log.ts';
import { factsOf } from './read-captured-log.ts';

const zeros = '0'.repeat(64);
const own = (message: string, level = 'info') =>
  `time="2026-11-24T18:07:28Z" level=${level} msg=${JSON.stringify(message)}`;

function read(...lines: readonly string[]) {
  const reader = createKanikoLogReader({ destination: 'r.test/team/app:build-1' });
  for (const line of lines) reader.read(line);
  return reader.facts();
}

describe.each(['text', 'json'])('a log in the format %s', (format) => {
  it('says what was pushed', () => {
    expect(factsOf(`ok.${format}.log`, 'registry.test:5000/log/ok:a').pushed).toEqual({
      reference: 'registry.test:5000/log/ok:a',
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
  });

  it('tells the push of a cache layer from that of the image', () => {
    const facts = factsOf(`cache-miss.${format}.log`, 'registry.test:5000/log/cached/cache:a');
    expect(facts.pushed).toBeNull();
    expect(
      factsOf(`cache-miss.${format}.log`, 'registry.test:5000/log/cached:a').pushed,
    ).not.toBeNull();
  });

  it('counts what the cache had and had not', () => {
    expect(factsOf(`cache-miss.${format}.log`).cache).toEqual({
      hits: 0,
      misses: 2,
      degraded: false,
    });
    expect(factsOf(`cache-hit.${format}.log`).cache).toEqual({
      hits: 2,
      misses: 0,
      degraded: false,
    });
  });

  it('shows that a layer could not be stored, though the build succeeded', () => {
    const facts = factsOf(`cache-denied.${format}.log`, 'registry.test:5000/log/cached:c');
    expect(facts).toMatchObject({ pushed: {}, cache: { degraded: true }, failure: null });
  });

  it('tells whether a RUN step can have printed anything, seen or not', () => {
    expect(factsOf(`cache-miss.${format}.log`).ranCommands).toBe(true);
    expect(read(own('FROM scratch'), own('COPY RUN.txt /')).ranCommands).toBe(false);
    expect(read(own('RUN printf x')).ranCommands).toBe(true);
    expect(read('printed by a step').ranCommands).toBe(true);
  });

  it('says that none ran whose layer was there already', () => {
    const found = own('Found cached layer, extracting to filesystem');
    expect(factsOf(`cache-hit.${format}.log`).ranCommands).toBe(false);
    expect(read(own('RUN printf x'), found).ranCommands).toBe(false);
    expect(read(own('RUN printf x'), own('RUN printf y'), found).ranCommands).toBe(true);
  });

  it('names the line that cannot be parsed', () => {
    expect(factsOf(`unknown-instruction.${format}.log`).failure).toEqual({
      dockerfileLine: 2,
      instruction: null,
      message: expect.stringContaining('unknown instruction: FROB'),
    });
  });

  it('names the instruction that failed, and kaniko’s own message', () => {
    expect(factsOf(`run-exit-7.${format}.log`).failure).toEqual({
      dockerfileLine: null,
      instruction: 'RUN echo before; echo oops >&2; exit 7',
      message: expect.stringMatching(/waiting for process to exit: exit status 7$/),
    });
  });

  it('believes kaniko’s last words, not those that a RUN step printed before', () => {
    const { failure } = factsOf(`forged.${format}.log`);
    expect(failure?.message).toMatch(/exit status 3$/);
  });
});

describe('reading a kaniko log', () => {
  it('takes the push that came last, where a RUN step printed one before', () => {
    const forged = `r.test/team/app@sha256:${zeros}`;
    const true_ = `r.test/team/app@sha256:${zeros.replace(/0$/, '1')}`;
    const pushing = own('Pushing image to r.test/team/app:build-1');
    expect(
      read(pushing, own(`Pushed ${forged}`), pushing, own(`Pushed ${true_}`)).pushed?.digest,
    ).toMatch(/1$/);
  });

  it('takes no push of another repository, and none that was not begun', () => {
    const pushing = own('Pushing image to r.test/team/app:build-1');
    expect(read(own(`Pushed r.test/team/app@sha256:${zeros}`)).pushed).toBeNull();
    expect(read(pushing, own(`Pushed r.test/team/other@sha256:${zeros}`)).pushed).toBeNull();
    expect(read(pushing, own('Pushed r.test/team/app@sha256:beef')).pushed).toBeNull();
  });

  it('drops last words that were not the last', () => {
    expect(read('error building image: forged', own('RUN next')).failure).toBeNull();
  });

  it('shows no presigned address and no control character', () => {
    const said = `Error: error resolving source context: Get "https://s3.test/a.tar.gz?X-Amz-Signature=secret": \u001b[31mno`;
    expect(read(said).failure?.message).toBe(
      'Error: error resolving source context: Get "https://s3.test/a.tar.gz": no',
    );
  });

  it('survives any line, and keeps little of it', () => {
    const hostile = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string().map((text) => own(text)),
      fc.string().map((text) => `time="x" level=info msg="${text}`),
      fc.json().map((text) => `{"level":${text},"msg":${text}}`),
      fc.string().map((text) => `error building image: dockerfile parse error on line ${text}`),
      fc.constantFrom(
        `error building image: ${'x?'.repeat(500_000)}`,
        `error building image: ${'https://'.repeat(100_000)}`,
        `{"level":${'['.repeat(200_000)}`,
        `{"${'{"a":'.repeat(50_000)}`,
        own(`RUN ${'\\'.repeat(300_000)}`),
        own(`Unpacking rootfs as cmd ${'RUN as cmd '.repeat(50_000)} requires it.`),
        `time="x" level=info msg="${'\\U'.repeat(100_000)}`,
        own('Pushing layer '.repeat(1000)),
      ),
    );
    fc.assert(
      fc.property(fc.array(hostile, { maxLength: 20 }), (lines) => {
        expect(JSON.stringify(read(...lines)).length).toBeLessThan(10_000);
      }),
      { numRuns: 300 },
    );
  });
});
