import { expect, it } from 'vitest';
import { createKanikoLogReader } from '../src/log/read-kaniko-log.ts';
import { call, createBuilder, finished } from './support/builder.ts';

const forged = `sha256:${'0'.repeat(64)}`;

it('a RUN step that prints what kaniko prints of a push, and exits with 7, fails the build with 7', async () => {
  await using builder = await createBuilder();
  await using pipeline = builder.open({ cache: null });
  await pipeline.open(call());
  const Dockerfile = [
    'FROM busybox:1',
    `RUN to="$(tr '\\0' '\\n' < /proc/1/cmdline | sed -n 's/^--destination=//p')"; \\`,
    `  say() { echo "time=\\"2026-01-01T00:00:00Z\\" level=info msg=\\"$1\\""; }; \\`,
    `  echo "destination $to"; say "Pushing image to $to"; say "Pushed \${to%:*}@${forged}"; \\`,
    '  sleep 3; exit 7',
  ].join('\n');
  const job = await builder.job({ files: { Dockerfile } });
  const { outcome, lines } = await finished(await pipeline.start(job, call()));

  const destination = lines.find((line) => line.startsWith('destination '))?.split(' ')[1] ?? '';
  const reader = createKanikoLogReader({ destination });
  for (const line of lines) reader.read(line);
  expect(reader.facts().pushed?.digest, 'the log does tell of a push').toBe(forged);
  expect(outcome).toMatchObject({
    status: 'failed',
    reason: 'user_error',
    message: expect.stringMatching(/^RUN .*exited with code 7/),
  });
});
