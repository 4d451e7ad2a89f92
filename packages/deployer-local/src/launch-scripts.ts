/*
 * How a process gets a root of its own with nothing but the tools of this machine. The image may hold a single
 * static binary, so no tool can run once its root is in place; and whoever executes the image's binary must have
 * no capability left, so it cannot be the one that changes the root.
 *
 * Three processes share the new namespaces:
 *  - the init (a shell, pid 1) mounts everything, starts the gate, and stays to pass on signals and the exit status;
 *  - the gate (node) has the image's user, no capability and `no_new_privs`. It waits, then executes the image's
 *    binary, whose command and environment reach it over a socket: they are in no argument list and no shell text;
 *  - the mover, which runs in a copy of the old root, calls pivot_root. The kernel moves every process whose root is
 *    the old one (pivot_root(2)), so init and gate find themselves in the image's root; then it detaches the old root.
 *
 * Descriptors: 1 log, 2 set-up errors, 3 init's socket, 4 gate's socket, 5 file for the exit status.
 */

/** Runs before the namespaces are complete, with the right to reach any path. Arguments: root, node, then what to execute. */
export const stageScript = `
set -eu
umask 022
mount -t tmpfs -o mode=0755,size=1m tmpfs /sys
mkdir /sys/lower /sys/work
: > /sys/node
mount --bind "$1" /sys/lower
mount --bind "$2" /sys/node
shift 2
exec "$@"
`;

/** Waits until the ids are mapped, then becomes their root. Arguments: what to execute. */
export const mappedScript = `
set -eu
echo unshared >&3
read -r go <&3
exec setpriv --reuid=0 --regid=0 --clear-groups --inh-caps=-all --ambient-caps=-all --pdeathsig=KILL "$@"
`;

/** The init. Arguments: the gate's command. */
export const initScript = `
set -eu
umask 022
read -r hostpid rest < /proc/self/stat
mount -t tmpfs -o mode=0755,size=512m,nosuid,nodev tmpfs /sys/work
cd /sys/work
mkdir upper work root tools
if mount -t overlay -o lowerdir=/sys/lower,upperdir=upper,workdir=work,userxattr,nosuid,nodev overlay root 2>/dev/null ||
  mount -t overlay -o lowerdir=/sys/lower,upperdir=upper,workdir=work,nosuid,nodev overlay root 2>/dev/null; then
  for each in hosts resolv.conf; do
    if [ -r "/etc/$each" ]; then cat "/etc/$each" > "root/etc/$each"; fi
  done
else
  mount --bind /sys/lower root
  mount -o remount,bind,ro,nosuid,nodev root
fi
mount -t proc -o nosuid,nodev,noexec proc root/proc
mount --bind root/proc/sys root/proc/sys
mount -o remount,bind,ro,nosuid,nodev,noexec root/proc/sys
mount -t tmpfs -o mode=1777,size=256m,nosuid,nodev tmpfs root/tmp
mount -t tmpfs -o mode=0755,size=64k,nosuid,noexec tmpfs root/dev
for each in null zero full random urandom tty; do
  : > "root/dev/$each"
  mount --bind "/dev/$each" "root/dev/$each"
done
ln -s /proc/self/fd root/dev/fd
ln -s /proc/self/fd/0 root/dev/stdin
ln -s /proc/self/fd/1 root/dev/stdout
ln -s /proc/self/fd/2 root/dev/stderr
mkdir root/dev/shm root/dev/.old
mount -t tmpfs -o mode=1777,size=64m,nosuid,nodev,noexec tmpfs root/dev/shm
mount --rbind / tools
"$@" 2>&1 3>&- 5>&- &
gate=$!
exec 4>&-
echo "started $hostpid" >&3
read -r go <&3
echo 0 > /proc/sys/user/max_user_namespaces
chroot tools sh -c '
  set -eu
  new=/sys/work/root
  chroot $new/proc/1/root pivot_root $new $new/dev/.old
  umount -c -l $new/proc/1/root/dev/.old
' 3>&- 5>&-
trap 'kill -s TERM $gate 2>/dev/null || true' TERM
echo moved >&3
exec 3>&-
while :; do
  status=0
  wait $gate || status=$?
  kill -s 0 $gate 2>/dev/null || break
done
echo $status >&5
exit $status
`;

/** Node resets every signal but SIGPIPE and SIGXFSZ, which the image's process finds ignored. */
export const gateScript = `
'use strict';
const fs = require('node:fs');
const fail = (code, text) => { fs.writeSync(2, text + '\\n'); process.exit(code); };
fs.writeSync(4, 'waiting\\n');
const chunks = [];
const buffer = Buffer.alloc(65536);
for (;;) {
  const size = fs.readSync(4, buffer, 0, buffer.length, null);
  if (size === 0) break;
  chunks.push(Buffer.from(buffer.subarray(0, size)));
}
if (chunks.length === 0) process.exit(125);
const { argv, environment, workingDirectory } = JSON.parse(Buffer.concat(chunks).toString('utf8'));
try { process.chdir(workingDirectory); } catch (error) { fail(126, 'working directory: ' + error.message); }
const runs = (path) => {
  try { fs.accessSync(path, fs.constants.X_OK); return fs.statSync(path).isFile(); } catch { return false; }
};
const name = argv[0];
const file = name.includes('/')
  ? name
  : environment.PATH.split(':').map((each) => (each || '.') + '/' + name).find(runs);
if (!file || !runs(file)) fail(127, name + ': not found in the image, or not executable');
fs.writeSync(4, 'executing\\n');
fs.closeSync(4);
process.execve(file, argv, environment);
`;
