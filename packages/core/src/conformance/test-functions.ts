/** What a kit needs of a test runner; vitest's functions fit. The kit imports no runner of its own. */
export interface TestFunctions {
  describe(name: string, define: () => void): unknown;
  it(name: string, run: () => Promise<void>): unknown;
  expect(actual: unknown): Expectation;
  beforeEach(run: () => Promise<void>): unknown;
  afterEach(run: () => Promise<void>): unknown;
}

export interface Expectation {
  toBe(expected: unknown): void;
  toEqual(expected: unknown): void;
  toMatchObject(expected: object): void;
  toHaveLength(expected: number): void;
  readonly rejects: { toMatchObject(expected: object): Promise<void> };
}
