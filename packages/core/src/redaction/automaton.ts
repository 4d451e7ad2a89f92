/** A state of the search: the longest beginning of a needle that the text read so far ends with. */
export interface SearchState {
  /** Characters of that beginning. */
  readonly depth: number;
  /** Characters of the longest needle that ends here; 0: none does. */
  readonly matched: number;
  /** Characters of the longest beginning, at most `depth`, that tells too much of its needle; 0: none does. */
  readonly telling: number;
}

interface Node {
  depth: number;
  matched: number;
  telling: number;
  fallback: Node | null;
  readonly next: Map<number, Node>;
}

export interface Automaton {
  readonly start: SearchState;
  step(state: SearchState, character: number): SearchState;
}

/**
 * Finds any number of needles in one pass over a text, however it is cut into pieces (Aho and Corasick).
 * `tellingFrom`: how many characters of a needle are too many to be shown.
 */
export function createAutomaton(
  needles: readonly string[],
  tellingFrom: (needle: string) => number,
): Automaton {
  const root = createNode(0);
  for (const needle of needles) {
    const from = tellingFrom(needle);
    let node = root;
    for (let index = 0; index < needle.length; index += 1) {
      const character = needle.charCodeAt(index);
      let child = node.next.get(character);
      if (!child) {
        child = createNode(node.depth + 1);
        node.next.set(character, child);
      }
      if (child.depth >= from) child.telling = child.depth;
      node = child;
    }
    node.matched = node.depth;
  }
  linkFallbacks(root);

  return {
    start: root,
    step(state, character) {
      let node: Node | null = state as Node;
      while (node) {
        const child = node.next.get(character);
        if (child) return child;
        node = node.fallback;
      }
      return root;
    },
  };
}

function createNode(depth: number): Node {
  return { depth, matched: 0, telling: 0, fallback: null, next: new Map() };
}

/** Breadth first, so that a node's fallback, which is nearer to the root, is complete before the node. */
function linkFallbacks(root: Node): void {
  const queue = [root];
  for (const node of queue) {
    for (const [character, child] of node.next) {
      let fallback = node.fallback;
      while (fallback && !fallback.next.has(character)) fallback = fallback.fallback;
      child.fallback = fallback?.next.get(character) ?? root;
      child.matched ||= child.fallback.matched;
      child.telling ||= child.fallback.telling;
      queue.push(child);
    }
  }
}
