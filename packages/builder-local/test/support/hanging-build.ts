import { readFile } from 'node:fs/promises';
import { createLocalPipeline } from '@cygni/builder-local';
import { createImageClient } from '@cygni/registry-oci';
import { sourceOf } from './archive.ts';
import { call } from './build.ts';
import { staticBinary } from './static-binary.ts';

// A process of its own, to be killed: starts a build whose RUN never ends.
const [directory = '', mark = ''] = process.argv.slice(2);
const pipeline = createLocalPipeline({ engine: 'buildah', images: createImageClient(), directory });
await pipeline.open(call());
await pipeline.start(
  {
    buildId: 'hanging',
    attempt: 1,
    tenantId: 'acme',
    source: await sourceOf({
      Dockerfile: `FROM scratch\nCOPY . /\nRUN ["/esbuild", "--watch=forever", "/${mark}", "--outfile=/out.js"]\n`,
      esbuild: { content: await readFile(staticBinary), mode: 0o755 },
      [mark]: 'console.log(1)',
    }),
    dockerfile: 'Dockerfile',
    target: null,
    buildArguments: {},
    machine: 'small',
    timeoutSeconds: 600,
    destination: { host: '127.0.0.1:1', repository: 'acme/app', insecure: true },
  },
  call(),
);
