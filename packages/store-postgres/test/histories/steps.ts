import fc from 'fast-check';

/** Which one of those that there are, the newest first; more than there are begins anew. */
const pick = fc.nat({ max: 6 });
const tenant = fc.nat({ max: 1 });
const amount = fc.constantFrom(100, 60, 1, 0);
const policyCap = fc.constantFrom(null, 250, 120, 400);
const key = fc.option(fc.record({ name: fc.nat({ max: 1 }), fingerprint: fc.nat({ max: 1 }) }), {
  freq: 3,
});
/** Of a fence: mostly the one that was given, sometimes one that nobody was given. */
const off = fc.constantFrom<number[]>(0, 0, 0, 0, 0, 0, 1, -1);
const charge = fc.constantFrom(40, 0, 100, 1_000);
const countAttempt = fc.boolean();

/**
 * Of a lease (30 s), a message (50 s) and a key (90 s), each of these and each of their sums is far from the end: the
 * time that a test itself takes decides nothing.
 */
const seconds = fc.constantFrom(20, 40, 60, 100);

const steps = {
  acceptBuild: fc.record({
    type: fc.constant('acceptBuild' as const),
    tenant,
    amount,
    policyCap,
    key,
    maximumAttempts: fc.integer({ min: 1, max: 3 }),
  }),
  /** As after an answer that was lost. */
  acceptAgain: fc.record({ type: fc.constant('acceptAgain' as const), pick, amount, policyCap }),
  dispatch: fc.record({ type: fc.constant('dispatch' as const) }),
  claimBuild: fc.record({ type: fc.constant('claimBuild' as const), pick }),
  heartbeatBuild: fc.record({ type: fc.constant('heartbeatBuild' as const), pick, off }),
  appendLog: fc.record({
    type: fc.constant('appendLog' as const),
    pick,
    off,
    position: fc.nat({ max: 2 }),
    lines: fc.nat({ max: 2 }),
  }),
  finishBuild: fc.record({
    type: fc.constant('finishBuild' as const),
    pick,
    off,
    state: fc.constantFrom('SUCCEEDED', 'FAILED', 'CANCELLED', 'TIMED_OUT'),
    charge,
  }),
  releaseBuild: fc.record({
    type: fc.constant('releaseBuild' as const),
    pick,
    off,
    countAttempt,
  }),
  cancelBuild: fc.record({ type: fc.constant('cancelBuild' as const), pick }),
  acceptDeployment: fc.record({
    type: fc.constant('acceptDeployment' as const),
    tenant,
    service: fc.nat({ max: 1 }),
    amount,
    policyCap,
    key,
  }),
  deployAgain: fc.record({ type: fc.constant('deployAgain' as const), pick, amount, policyCap }),
  rollBack: fc.record({
    type: fc.constant('rollBack' as const),
    tenant,
    service: fc.nat({ max: 1 }),
    to: fc.constantFrom(null, 1, 2, 9),
  }),
  claimDeployment: fc.record({ type: fc.constant('claimDeployment' as const), pick }),
  heartbeatDeployment: fc.record({ type: fc.constant('heartbeatDeployment' as const), pick, off }),
  advanceDeployment: fc.record({
    type: fc.constant('advanceDeployment' as const),
    pick,
    off,
    phase: fc.constantFrom('APPLYING', 'WATCHING', 'BAKING'),
  }),
  finishDeployment: fc.record({
    type: fc.constant('finishDeployment' as const),
    pick,
    off,
    state: fc.constantFrom('SUCCEEDED', 'FAILED', 'ROLLED_BACK', 'CANCELLED'),
    charge,
  }),
  releaseDeployment: fc.record({
    type: fc.constant('releaseDeployment' as const),
    pick,
    off,
    countAttempt,
  }),
  setBudget: fc.record({
    type: fc.constant('setBudget' as const),
    tenant,
    cap: fc.constantFrom(null, 0, 99, 150, 300),
  }),
  getAccount: fc.record({ type: fc.constant('getAccount' as const), tenant, policyCap }),
  takeOutbox: fc.record({
    type: fc.constant('takeOutbox' as const),
    limit: fc.constantFrom<number[]>(1, 3, 100),
    fails: fc.boolean(),
  }),
  sweep: fc.record({ type: fc.constant('sweep' as const) }),
  elapse: fc.record({ type: fc.constant('elapse' as const), seconds }),
  rollOver: fc.record({ type: fc.constant('rollOver' as const) }),
} as const;

type Steps = typeof steps;
export type StepType = keyof Steps;
export type Step = {
  [Type in StepType]: Steps[Type] extends fc.Arbitrary<infer S> ? S : never;
}[StepType];

const weights: Readonly<Record<StepType, number>> = {
  acceptBuild: 6,
  acceptAgain: 1,
  dispatch: 5,
  claimBuild: 6,
  heartbeatBuild: 2,
  appendLog: 2,
  finishBuild: 4,
  releaseBuild: 3,
  cancelBuild: 3,
  acceptDeployment: 4,
  deployAgain: 1,
  rollBack: 2,
  claimDeployment: 5,
  heartbeatDeployment: 1,
  advanceDeployment: 1,
  finishDeployment: 4,
  releaseDeployment: 2,
  setBudget: 2,
  getAccount: 1,
  takeOutbox: 3,
  sweep: 3,
  elapse: 4,
  rollOver: 1,
};

function anyOf(types: readonly StepType[]): fc.Arbitrary<Step> {
  return fc.oneof(
    ...types.map((type) => ({
      weight: weights[type],
      arbitrary: steps[type] as fc.Arbitrary<Step>,
    })),
  );
}

const all = Object.keys(steps) as StepType[];
/** These change what the steps beside them mean: they stand alone. */
const alone = ['elapse', 'rollOver'] as const satisfies readonly StepType[];

/** One thing after another. */
export const history = fc.array(anyOf(all), { minLength: 1, maxLength: 40, size: 'max' });

/** Several things at a time. */
export const crowdedHistory = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.array(anyOf(all.filter((type) => !alone.some((each) => each === type))), {
        minLength: 2,
        maxLength: 8,
        size: 'max',
      }),
    },
    { weight: 1, arbitrary: anyOf(alone).map((step) => [step]) },
  ),
  { minLength: 1, maxLength: 10, size: 'max' },
);
