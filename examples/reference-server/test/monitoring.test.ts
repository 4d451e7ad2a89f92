import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TestContext } from 'vitest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApi, type TestApi } from '../../../packages/http/test/fixtures/start-api.ts';

const monitoring = fileURLToPath(new URL('../monitoring/', import.meta.url));
const ofServer = ['cygni_build_info'];

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api[Symbol.asyncDispose]());

async function readMetrics(): Promise<string> {
  await api.request('GET', '/v1/builds');
  return api.test.platform.metrics.metrics();
}

/** Runs promtool. Where there is none, the test fails in CI and is skipped elsewhere. */
async function promtool(test: TestContext, words: readonly string[], input = ''): Promise<string> {
  const running = promisify(execFile)('promtool', [...words], { cwd: monitoring });
  running.child.stdin?.on('error', () => {});
  running.child.stdin?.end(input);
  try {
    const { stdout, stderr } = await running;
    return stdout + stderr;
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (!isMissing || process.env.CI) throw error;
    console.warn('SKIPPED: promtool is missing (it comes with Prometheus)');
    return test.skip();
  }
}

describe('the metrics', () => {
  it('are as promtool wants them', async (test) => {
    expect(await promtool(test, ['check', 'metrics'], await readMetrics())).toBe('');
  });

  it('exist at zero before anything has happened', async () => {
    const metrics = await readMetrics();
    for (const series of [
      'cygni_builds_total{result="failed",error_type="platform_error"} 0',
      'cygni_build_duration_seconds_count{phase="total",result="succeeded"} 0',
      'cygni_queue_dead_letters_total{kind="build"} 0',
      'cygni_queue_redeliveries_total{kind="build"} 0',
      'cygni_log_dropped_total 0',
      'cygni_budget_rejections_total 0',
    ]) {
      expect(metrics).toContain(series);
    }
  });
});

describe('the rules and the dashboard', () => {
  it.each(['rules.yaml', 'dashboard.json'])(
    '%s names only metrics that there are',
    async (file) => {
      const known = [...(await readMetrics()).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
      const text = await readFile(monitoring + file, 'utf8');
      const named = text.match(/(?<![:\w])(?:cygni|http)_[a-z_]+(?![\w:])/g) ?? [];
      const metrics = new Set(named.map((name) => name.replace(/_(bucket|count|sum)$/, '')));
      expect(metrics.size).toBeGreaterThan(5);
      expect([...metrics].filter((name) => ![...known, ...ofServer].includes(name))).toEqual([]);
    },
  );

  it('pass promtool’s checks', async (test) => {
    expect(await promtool(test, ['check', 'rules', 'rules.yaml'])).toContain('SUCCESS');
  });

  it('alert on what they should, and on nothing else', async (test) => {
    expect(await promtool(test, ['test', 'rules', 'rules.test.yaml'])).toContain('SUCCESS');
  });
});
