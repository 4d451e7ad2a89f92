import { readFileSync } from 'node:fs';

/**
 * Which ids of this machine stand for the ids of an image.
 * `range`: 65,536 ids that no account uses, so that an image's root is nobody here; needs root.
 * `single`: the caller's own id stands for the image's user; needs nothing.
 */
export type IdMap =
  | { readonly kind: 'range'; readonly first: number; readonly count: number }
  | { readonly kind: 'single' };

const count = 65_536;
/** Above what distributions, /etc/subuid and systemd hand out, below 2^31. */
const preferredFirst = 1_900_000_000;

export function chooseIdMap(): IdMap {
  if (process.getuid?.() !== 0) return { kind: 'single' };
  const extents = readFileSync('/proc/self/uid_map', 'latin1')
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  const [first = 0, , size = 0] = extents.at(-1) ?? [];
  const end = first + size;
  if (preferredFirst >= first && preferredFirst + count <= end) {
    return { kind: 'range', first: preferredFirst, count };
  }
  // Root of an outer container, which has few ids: the topmost, if that leaves it its own.
  return size >= 2 * count ? { kind: 'range', first: end - count, count } : { kind: 'single' };
}
