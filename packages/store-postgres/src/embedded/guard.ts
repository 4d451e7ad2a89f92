import { spawn } from 'node:child_process';

/**
 * A shell that waits for the end of this program, however it comes, and then ends the server. It waits on a pipe
 * that closes by itself, also when the program is killed. Without a shell, the next start ends the server instead.
 * @returns what lets the shell go; the server must have ended by then
 */
export function guardPostmaster(pid: number, pidFile: string): () => void {
  const script = 'read -r _; [ "$(head -n 1 "$2" 2>/dev/null)" = "$1" ] && kill -INT "$1"';
  const shell = spawn('sh', ['-c', script, 'sh', String(pid), pidFile], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  if ('unref' in shell.stdin && typeof shell.stdin.unref === 'function') shell.stdin.unref();
  return () => {
    shell.stdin.end();
  };
}
