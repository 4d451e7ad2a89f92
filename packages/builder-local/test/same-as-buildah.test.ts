import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Files, tar } from './support/archive.ts';
import { build, jobOf, openPipeline, type TestPipeline, tagImage } from './support/build.ts';
import { engineIsHere } from './support/engine-is-here.ts';
import { useEngines } from './support/engines.ts';
import { type PulledImage, pullImage } from './support/pulled-image.ts';
import { startRegistry, type TestRegistry } from './support/registry.ts';

const isHere = engineIsHere('buildah');
useEngines();
let registry: TestRegistry;
let assemble: TestPipeline;
let buildah: TestPipeline;

beforeAll(async () => {
  if (!isHere) return;
  registry = await startRegistry();
  assemble = await openPipeline({ engine: 'assemble', images: registry.images });
  buildah = await openPipeline({ engine: 'buildah', images: registry.images });
  const base = await jobOf(registry, {
    destination: registry.at('acme/base'),
    files: {
      Dockerfile: [
        'FROM scratch',
        'ADD rootfs.tar /',
        'ENV LANG=C FROM_BASE=yes',
        'LABEL kept=yes replaced=no',
        'WORKDIR /srv',
        'USER app',
        'EXPOSE 80',
        'CMD ["/bin/base"]',
        'ENTRYPOINT ["/bin/entry"]',
      ].join('\n'),
      'rootfs.tar': await rootfs(),
    },
  });
  const { outcome, lines } = await build(assemble.pipeline, base);
  if (outcome.status === 'failed') throw new Error(lines.join('\n'));
  await tagImage(registry, base.destination, outcome.digest, '1');
});

afterAll(async () => {
  if (!isHere) return;
  await assemble[Symbol.asyncDispose]();
  await buildah[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

async function rootfs(): Promise<Buffer> {
  const root = { uid: 0, gid: 0 };
  return tar({
    'etc/': { ...root },
    'etc/passwd': { ...root, content: 'root:x:0:0::/:/x\napp:x:1234:2345::/:/x\n' },
    'etc/group': { ...root, content: 'root:x:0:\nstaff:x:50:\napp:x:2345:\n' },
    'usr/': root,
    'usr/bin/': root,
    'usr/bin/tool': { ...root, content: 'tool', mode: 0o755 },
    bin: { ...root, link: 'usr/bin' },
    'data/': { uid: 7, gid: 8, mode: 0o700 },
    'data/old': { uid: 7, gid: 8, content: 'old', mode: 0o600 },
    current: { ...root, link: '/data' },
    'srv/': root,
  });
}

const context: Files = {
  'a.txt': 'a',
  'b.txt': { content: 'b', mode: 0o600 },
  'run.sh': { content: '#!/bin/sh\n', mode: 0o755 },
  'notes.md': 'notes',
  'dir/': {},
  'dir/one': { content: '1', mode: 0o640 },
  'dir/sub/': {},
  'modes/': { mode: 0o750 },
  'modes/sub/': { mode: 0o711 },
  'dir/sub/two': '2',
  'dir/link': { link: 'sub/two' },
  'dir/.hidden': 'h',
  'dir/empty/': {},
  'to-dir': { link: 'dir' },
  'to-file': { link: 'a.txt' },
};

interface Case {
  readonly title: string;
  readonly dockerfile: string;
  readonly more: Files;
}

const rows: readonly (readonly [title: string, dockerfile: string, more?: Files])[] = [
  ['a file to a file', 'FROM scratch\nCOPY a.txt /x\n'],
  ['a file into a directory that is not there', 'FROM scratch\nCOPY a.txt /x/y/\n'],
  ['a directory: its contents', 'FROM scratch\nCOPY dir /x\n'],
  ['modes of directories', 'FROM scratch\nCOPY modes /x\nCOPY . /y\n'],
  ['a directory with slashes', 'FROM scratch\nCOPY dir/ /x/\n'],
  ['several sources', 'FROM scratch\nCOPY a.txt b.txt dir /x/\n'],
  ['wildcards', 'FROM scratch\nCOPY *.txt d*r/o?e [n]otes.md /x/\n'],
  ['everything', 'FROM scratch\nCOPY . .\n'],
  [
    'relative to WORKDIR',
    'FROM scratch\nWORKDIR /w\nWORKDIR v\nCOPY a.txt .\nCOPY b.txt c/d\nCOPY run.sh ./\n',
  ],
  ['numeric --chown', 'FROM scratch\nCOPY --chown=5:6 a.txt /x\nCOPY --chown=7 dir /y\n'],
  ['--chmod', 'FROM scratch\nCOPY --chmod=0711 a.txt dir/one /x/\n'],
  ['a link as source is followed', 'FROM scratch\nCOPY to-file /x\nCOPY to-dir /y\n'],
  ['over what is there', 'FROM scratch\nCOPY a.txt /x/one\nCOPY dir /x\nCOPY b.txt /x/one\n'],
  [
    'stages',
    'FROM scratch AS first\nCOPY --chown=3:4 dir /d\nFROM scratch\nCOPY --from=first /d /e\nCOPY --from=0 /d/one /f/\n',
  ],
  [
    'a stage from a stage',
    'FROM scratch AS first\nENV A=1\nCOPY a.txt /\nFROM first AS second\nENV B=$A\nCOPY b.txt /\nFROM second\nENV C=$A$B\n',
  ],
  [
    '.dockerignore',
    'FROM scratch\nCOPY . /\n',
    { '.dockerignore': '# all\n*.md\n**/two\ndir/*\n!dir/sub\n!dir/.hidden\nrun.sh\nto-*\n' },
  ],
  [
    '.dockerignore that leaves nothing but',
    'FROM scratch\nCOPY . /\n',
    { '.dockerignore': '*\n!dir/sub/two\n!*.txt\n' },
  ],
  [
    'names for --chown',
    'FROM HOST/acme/base:1\nCOPY --chown=app a.txt /x\nCOPY --chown=app:staff b.txt /y\nCOPY --chown=0:app run.sh /z\n',
  ],
  [
    'through links of the base image',
    'FROM HOST/acme/base:1\nCOPY run.sh /bin/run\nCOPY a.txt /bin/\nCOPY a.txt /current/deep/a\nWORKDIR /bin/w\n',
  ],
  [
    'into a directory with its own owner',
    'FROM HOST/acme/base:1\nCOPY dir /data\nCOPY a.txt /data/\n',
  ],
  [
    'from another image',
    'FROM scratch\nCOPY --from=HOST/acme/base:1 /usr/bin/tool /t\nCOPY --from=HOST/acme/base:1 /data /d\nCOPY --from=HOST/acme/base:1 /bin/tool /u\n',
  ],
  [
    'configuration',
    [
      'ARG GLOBAL=g',
      'FROM scratch',
      'ARG GLOBAL',
      'ARG LOCAL=${GLOBAL}l',
      'ENV ONE=1 TWO="two words" THREE=three\\ words',
      'ENV OLD the old form',
      "ENV FROM_ARG=$LOCAL DEFAULT=${NONE:-d} ALTERNATIVE=${ONE:+alt} PLAIN=\\$ONE SINGLE='$ONE'",
      'LABEL a=b "c d"="e f" one=$ONE',
      'EXPOSE 80 443/tcp 53/udp',
      'VOLUME /v1 /v2',
      'VOLUME ["/v3"]',
      'USER 5:6',
      'WORKDIR /w/$ONE',
      'STOPSIGNAL SIGQUIT',
      'ENTRYPOINT ["/e", "$ONE"]',
      'CMD run this "now" $ONE',
    ].join('\n'),
  ],
  [
    'an inherited configuration',
    'FROM HOST/acme/base:1\nENV LANG=D MORE=$FROM_BASE\nLABEL replaced=yes\nEXPOSE 81\nENTRYPOINT ["/e"]\n',
  ],
  ['CMD of the base image', 'FROM HOST/acme/base:1\nCMD ["/c"]\n'],
  [
    'line continuations',
    'FROM scratch\nENV A=1 \\\n  # a comment\n\n  B=2\nCOPY a.txt \\\n  b.txt \\\n  /x/\n',
  ],
  [
    'ADD of an archive',
    'FROM scratch\nADD archive.tar /x\nADD archive.tar.gz /y/\nCOPY archive.tar /z/\n',
  ],
  ['lower case', 'from scratch as one\ncopy a.txt /\nFrom one\n'],
];

const cases: readonly Case[] = rows.map(([title, dockerfile, more = {}]) => ({
  title,
  dockerfile,
  more,
}));

describe.runIf(isHere)(
  'an assembled image has the files and the configuration that buildah makes',
  () => {
    it.each(cases)('$title', async ({ title, dockerfile, more }) => {
      const { gzipSync } = await import('node:zlib');
      const archive = await tar({
        'in/': { uid: 3, gid: 4 },
        'in/file': { content: 'f', uid: 5, gid: 6, mode: 0o640 },
        'in/link': { link: 'file', uid: 0, gid: 0 },
      });
      const files: Files = {
        ...context,
        'archive.tar': archive,
        'archive.tar.gz': gzipSync(archive),
        ...more,
        Dockerfile: dockerfile.replaceAll('HOST', registry.host),
      };
      const images: PulledImage[] = [];
      const name = title
        .replace(/[^a-z]+/gi, '-')
        .replace(/^-|-$/g, '')
        .toLowerCase();
      for (const { pipeline } of [assemble, buildah]) {
        const destination = registry.at(
          `acme/${pipeline === assemble.pipeline ? 'ours' : 'theirs'}-${name}`,
        );
        const { outcome, lines } = await build(
          pipeline,
          await jobOf(registry, { files, destination }),
        );
        if (outcome.status === 'failed') throw new Error(lines.join('\n'));
        images.push(await pullImage(registry, destination, outcome.digest));
      }
      const [ours, theirs] = images;
      expect(ours?.files).toEqual(theirs?.files);
      expect(ours?.contents).toEqual(theirs?.contents);
      expect(configuration(ours)).toEqual(configuration(theirs));
    });
  },
);

/** Without what buildah adds, or (the working directory of an image from scratch) does not write. */
function configuration(image: PulledImage | undefined) {
  const { Labels, Env, WorkingDir, ...rest } = image?.config.config ?? {};
  const labels = Object.entries(Labels ?? {}).filter(([name]) => !name.startsWith('io.buildah'));
  return {
    ...rest,
    WorkingDir: WorkingDir || '/',
    Env: (Env ?? []).toSorted(),
    Labels: Object.fromEntries(labels),
  };
}
