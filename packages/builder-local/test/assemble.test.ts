import { zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { tar } from './support/archive.ts';
import { useAssembler } from './support/assembling.ts';

const assembler = useAssembler();
const { image } = assembler;

describe('FROM', () => {
  it('scratch gives a PATH and a working directory, and no layer', async () => {
    const built = await image('FROM scratch\n');
    expect(built.config).toMatchObject({
      os: 'linux',
      created: '1970-01-01T00:00:00Z',
      config: {
        Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        WorkingDir: '/',
      },
      rootfs: { type: 'layers', diff_ids: [] },
    });
    expect(built.layers).toEqual([]);
  });

  it('an image of a registry keeps its layers, by digest', async () => {
    const destination = assembler.registry.at('acme/base');
    const base = await image('FROM scratch\nCOPY a /a\n', { a: '1' }, { destination, tag: '1' });
    const built = await image('FROM HOST/acme/base:1\nCOPY b /b\n', { b: '2' });
    expect(built.manifest.layers[0]?.digest).toBe(base.manifest.layers[0]?.digest);
    expect(built.config.rootfs.diff_ids[0]).toBe(base.config.rootfs.diff_ids[0]);
    expect(Object.keys(built.files)).toEqual(['a', 'b']);
    const pinned = await image(`FROM HOST/acme/base@${base.digest}\nLABEL a=b\n`);
    expect(pinned.files).toEqual(base.files);
  });

  it('builds only the stages that the target needs', async () => {
    const dockerfile = [
      'FROM no.such.host.invalid/image AS unused',
      'RUN make',
      'FROM scratch AS one',
      'COPY a /a',
      'FROM scratch AS two',
      'COPY --from=one /a /b',
      'FROM unused AS three',
    ].join('\n');
    expect((await image(dockerfile, { a: '1' }, { target: 'TWO' })).files).toEqual({
      b: 'file 0644 0:0',
    });
    expect((await image(dockerfile, { a: '1' }, { target: '1' })).files).toEqual({
      a: 'file 0644 0:0',
    });
  });

  it('takes arguments from before the first FROM, and the platform of this machine', async () => {
    const built = await image(
      'ARG BASE=nothing\nFROM --platform=$TARGETPLATFORM ${BASE} AS x\nARG BASE\nARG TARGETARCH\nENV B=$BASE A=$TARGETARCH\n',
      {},
      { buildArguments: { BASE: 'scratch' } },
    );
    expect(built.config.config?.Env?.slice(1)).toEqual([
      'B=scratch',
      `A=${process.arch === 'x64' ? 'amd64' : process.arch}`,
    ]);
  });
});

describe('COPY', () => {
  it('keeps the modes of the archive, set-user-id too, and takes root as owner', async () => {
    const built = await image('FROM scratch\nCOPY s d /x/\n', {
      s: { content: 's', mode: 0o4711 },
      'd/': { mode: 0o700 },
      'd/e/': { mode: 0o1770 },
    });
    expect(built.files).toEqual({
      x: 'dir 0755 0:0',
      'x/s': 'file 4711 0:0',
      'x/e': 'dir 1770 0:0',
    });
  });

  it('gives created parents the owner too, but not the mode', async () => {
    const built = await image('FROM scratch\nCOPY --chown=5:6 --chmod=600 a /x/y/a\n', { a: '1' });
    expect(built.files).toEqual({
      x: 'dir 0755 5:6',
      'x/y': 'dir 0755 5:6',
      'x/y/a': 'file 0600 5:6',
    });
  });

  it('expands variables in sources, destination and owner, and removes quotes', async () => {
    const built = await image(
      'FROM scratch\nARG N=a\nENV D=/dir U=7\nCOPY --chown=$U "$N"${N}? $D/\n',
      { aab: '1', aac: '2', aa: '3' },
    );
    expect(Object.keys(built.files)).toEqual(['dir', 'dir/aab', 'dir/aac']);
  });

  it('takes names with spaces in its JSON form', async () => {
    const built = await image('FROM scratch\nCOPY ["a b", "c d/"]\n', { 'a b': '1' });
    expect(Object.keys(built.files)).toEqual(['c d', 'c d/a b']);
  });

  it('leaves out what --exclude matches', async () => {
    const built = await image('FROM scratch\nCOPY --exclude=*.md --exclude=**/tmp d /x\n', {
      'd/a': '1',
      'd/b.md': '2',
      'd/e/tmp/f': '3',
      'd/e/g.md': '4',
    });
    expect(Object.keys(built.contents)).toEqual(['x/a', 'x/e/g.md']);
  });

  it('writes heredocs, expanded unless their mark is quoted', async () => {
    const built = await image(
      [
        'FROM scratch',
        'ENV NAME=cygni',
        'COPY <<one.txt <<-"two.txt" /x/',
        'hello "$NAME" \\$NAME',
        'COPY is not an instruction here',
        'one.txt',
        '\tkept $NAME',
        '\ttwo.txt',
        'COPY <<EOF /y',
        'z',
        'EOF',
        'ENV AFTER=yes',
      ].join('\n'),
    );
    expect(built.contents).toEqual({
      'x/one.txt': 'hello "cygni" $NAME\nCOPY is not an instruction here\n',
      'x/two.txt': 'kept $NAME\n',
      y: 'z\n',
    });
    expect(built.config.config?.Env).toContain('AFTER=yes');
  });

  it('replaces a link below the destination, and follows one in the path to it', async () => {
    const built = await image('FROM scratch\nCOPY links /\nCOPY a /to/a\nCOPY tree /dir/\n', {
      'links/to': { link: '/dir' },
      'links/dir/l': { link: 'elsewhere' },
      a: '1',
      'tree/l': 'file now',
    });
    expect(built.files).toMatchObject({ 'dir/a': 'file 0644 0:0', 'dir/l': 'file 0644 0:0' });
    expect(built.contents).toEqual({ 'dir/a': '1', 'dir/l': 'file now' });
  });

  it('stays inside of the context, whatever the source says', async () => {
    const built = await image('FROM scratch\nCOPY ../../a /../../../x\nCOPY out /y\n', {
      a: '1',
      out: { link: '../../../a' },
    });
    expect(built.contents).toEqual({ x: '1', y: '1' });
  });

  it('from a stage keeps owners, links and empty directories', async () => {
    const built = await image(
      'FROM scratch AS a\nCOPY --chown=3:4 d /d\nFROM scratch\nCOPY --from=a /d /e\n',
      { 'd/f': '1', 'd/l': { link: 'f' }, 'd/empty/': {} },
    );
    expect(built.files).toEqual({
      e: 'dir 0755 0:0',
      'e/empty': 'dir 0755 3:4',
      'e/f': 'file 0644 3:4',
      'e/l': 'link 3:4 -> f',
    });
  });

  it('takes nothing where a wildcard matches nothing', async () => {
    const built = await image('FROM scratch\nCOPY a b* /x/\n', { a: '1' });
    expect(Object.keys(built.files)).toEqual(['x', 'x/a']);
  });
});

describe('ADD', () => {
  it('unpacks zstd too, keeps owners, and replaces what is in the way', async () => {
    const archive = await tar({
      'd/': { uid: 1, gid: 2, mode: 0o700 },
      'd/f': { uid: 1, gid: 2, content: 'new' },
      'd/h': { type: 'link', link: 'd/f' },
    });
    const built = await image('FROM scratch\nCOPY old /x/d/f\nADD a.tar.zst /x\n', {
      old: 'old',
      'a.tar.zst': zstdCompressSync(archive),
    });
    expect(built.files).toMatchObject({
      'x/d': 'dir 0700 1:2',
      'x/d/f': 'file 0644 1:2',
      'x/d/h': 'file 0644 1:2',
    });
    expect(built.contents).toEqual({ 'x/d/f': 'new', 'x/d/h': 'new' });
  });

  it('copies an archive with --unpack=false, and what only has its name', async () => {
    const archive = await tar({ f: 'f' });
    const built = await image('FROM scratch\nADD --unpack=false a.tar /x\nADD b.tar /y\n', {
      'a.tar': archive,
      'b.tar': 'no archive',
    });
    expect(Object.keys(built.files)).toEqual(['x', 'y']);
  });
});

describe('.dockerignore', () => {
  it('the one of the Dockerfile is used instead of the common one', async () => {
    const built = await image('FROM scratch\nCOPY . /\n', {
      '.dockerignore': '*\n',
      'Dockerfile.dockerignore': 'Dockerfile*\n.dockerignore\nb\n',
      a: '1',
      b: '2',
    });
    expect(Object.keys(built.files)).toEqual(['a']);
  });

  it('hides files from COPY, also when they are named', async () => {
    const failed = await assembler.failure('FROM scratch\nCOPY secret /\n', {
      '.dockerignore': 'secret',
      secret: '1',
    });
    expect(failed).toMatchObject({
      reason: 'user_error',
      message: 'Dockerfile line 2: COPY secret /: /secret was not found',
    });
  });
});

describe('the configuration', () => {
  it('holds what the instructions say', async () => {
    const built = await image(
      [
        '# syntax=docker/dockerfile:1',
        'FROM scratch',
        'MAINTAINER somebody',
        'SHELL ["/bin/bash", "-ec"]',
        'HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=5s --retries=4 CMD curl -f localhost',
        'ENTRYPOINT exec app',
        'EXPOSE 7000-7002/UDP',
        'ONBUILD COPY . /app',
        'USER $NOBODY',
      ].join('\n'),
    );
    expect(built.config).toMatchObject({
      author: 'somebody',
      config: {
        Shell: ['/bin/bash', '-ec'],
        Healthcheck: {
          Test: ['CMD-SHELL', 'curl -f localhost'],
          Interval: 90e9,
          Timeout: 0.5e9,
          StartPeriod: 5e9,
          Retries: 4,
        },
        Entrypoint: ['/bin/bash', '-ec', 'exec app'],
        ExposedPorts: { '7000/udp': {}, '7001/udp': {}, '7002/udp': {} },
        OnBuild: ['COPY . /app'],
      },
    });
    const none = await image('FROM scratch\nHEALTHCHECK NONE\nCMD []\n');
    expect(none.config.config).toMatchObject({ Healthcheck: { Test: ['NONE'] } });
    expect(none.config.config).not.toHaveProperty('Cmd');
  });

  it('escapes by another character where the file says so', async () => {
    const built = await image('# escape=`\nFROM scratch\nENV A=C:\\b `\n  B=`$A\n');
    expect(built.config.config?.Env?.slice(1)).toEqual(['A=C:\\b', 'B=$A']);
  });

  it('ENV wins over ARG, and an argument ends with its stage', async () => {
    const built = await image(
      'FROM scratch AS a\nARG X=1\nENV X=2\nARG X=3\nENV Y=$X\nFROM a\nENV Z=$X W=${V:-none}\nARG V=4\nENV U=$V\n',
      {},
      { buildArguments: { V: '5' } },
    );
    expect(built.config.config?.Env?.slice(1)).toEqual(['X=2', 'Y=2', 'Z=2', 'W=none', 'U=5']);
  });

  it('ENTRYPOINT takes away the CMD of the base image, not its own', async () => {
    const destination = assembler.registry.at('acme/with-cmd');
    await image('FROM scratch\nCMD ["base"]\n', {}, { destination, tag: '1' });
    const cleared = await image('FROM HOST/acme/with-cmd:1\nENTRYPOINT ["e"]\n');
    expect(cleared.config.config).not.toHaveProperty('Cmd');
    const own = await image('FROM HOST/acme/with-cmd:1\nCMD ["own"]\nENTRYPOINT ["e"]\n');
    expect(own.config.config).toMatchObject({ Cmd: ['own'], Entrypoint: ['e'] });
  });

  it('runs the ONBUILD triggers of the base image, once', async () => {
    const destination = assembler.registry.at('acme/trigger');
    await image('FROM scratch\nONBUILD COPY a /\nONBUILD ENV T=1\n', {}, { destination, tag: '1' });
    const built = await image('FROM HOST/acme/trigger:1\n', { a: '1' });
    expect(built.contents).toEqual({ a: '1' });
    expect(built.config.config?.Env).toContain('T=1');
    expect(built.config.config).not.toHaveProperty('OnBuild');
    await image('FROM scratch\nONBUILD RUN make\n', {}, { destination, tag: '2' });
    expect(await assembler.failure('FROM HOST/acme/trigger:2\n')).toMatchObject({
      reason: 'user_error',
      message: expect.stringContaining('Dockerfile line 1: RUN make: RUN needs an engine'),
    });
  });

  it('WORKDIR belongs to USER', async () => {
    const built = await image('FROM scratch\nUSER 5:6\nWORKDIR /a/b\nWORKDIR ../c\n');
    expect(built.files).toEqual({
      a: 'dir 0755 5:6',
      'a/b': 'dir 0755 5:6',
      'a/c': 'dir 0755 5:6',
    });
    expect(built.config.config).toMatchObject({ WorkingDir: '/a/c', User: '5:6' });
  });
});

it('says what it does, and warns of arguments that nothing uses', async () => {
  const { lines, outcome } = await assembler.run(
    'FROM scratch\nCOPY site /site\nCMD ["x"]\n',
    { 'site/a': '1' },
    { buildArguments: { UNUSED: 'secret' } },
  );
  const name = `${assembler.registry.host}/acme/app`;
  const digest = outcome.status === 'succeeded' ? outcome.digest : '';
  expect(lines).toEqual([
    '[1/3] FROM scratch',
    '[2/3] COPY site /site',
    '[3/3] CMD ["x"]',
    'warning: build arguments not used: UNUSED',
    expect.stringMatching(/^pushing sha256:[0-9a-f]{64} \(0\.1 kB\)$/),
    `pushed ${name}@${digest}`,
  ]);
});
