export type Engine = 'docker' | 'podman';

/** How every container is kept apart, and what it may use. The probe of the engine runs with the same. */
export function isolationOf(engine: Engine, port: number): string[] {
  const network =
    process.platform === 'linux' ? '--network=host' : `--publish=127.0.0.1:${port}:${port}`;
  const log =
    engine === 'docker'
      ? ['--log-driver=json-file', '--log-opt=max-size=8m', '--log-opt=max-file=2']
      : ['--log-driver=k8s-file', '--log-opt=max-size=8mb'];
  return [
    ...['--pull=never', '--restart=no', '--cap-drop=ALL', '--security-opt=no-new-privileges'],
    ...['--pids-limit=1024', '--memory=2g', network, ...log],
  ];
}
