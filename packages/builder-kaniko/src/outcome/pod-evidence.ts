/** The parts of a pod that say why a build failed: what is used of the API's own type. */
export interface PodEvidence {
  readonly metadata?: { readonly deletionTimestamp?: Date | string | undefined } | undefined;
  readonly spec?:
    | {
        readonly containers?: readonly NamedImage[] | undefined;
        readonly initContainers?: readonly NamedImage[] | undefined;
      }
    | undefined;
  readonly status?:
    | {
        readonly phase?: string | undefined;
        readonly reason?: string | undefined;
        readonly message?: string | undefined;
        readonly conditions?: readonly Condition[] | undefined;
        readonly containerStatuses?: readonly ContainerEvidence[] | undefined;
        readonly initContainerStatuses?: readonly ContainerEvidence[] | undefined;
      }
    | undefined;
}

interface NamedImage {
  readonly name: string;
  readonly image?: string | undefined;
}

interface ContainerEvidence {
  readonly name: string;
  readonly image?: string | undefined;
  readonly state?:
    | {
        readonly waiting?: Words | undefined;
        readonly running?: object | undefined;
        readonly terminated?: (Words & { readonly exitCode: number }) | undefined;
      }
    | undefined;
}

interface Words {
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
}

export interface Condition extends Words {
  readonly type: string;
  readonly status: string;
}

export function conditionOf(conditions: readonly Condition[] | undefined, type: string) {
  return conditions?.find((condition) => condition.type === type);
}

export function terminationOf(pod: PodEvidence | null, container: string) {
  return stateOf(pod, container)?.terminated;
}

/** It runs, or has run. */
export function hasStarted(pod: PodEvidence | null, container: string): boolean {
  const state = stateOf(pod, container);
  return state?.running !== undefined || state?.terminated !== undefined;
}

function stateOf(pod: PodEvidence | null, container: string) {
  return pod?.status?.containerStatuses?.find(({ name }) => name === container)?.state;
}
