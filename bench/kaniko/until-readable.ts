import type { CoreV1Api } from '@kubernetes/client-node';

const readableWithinMs = 60_000;

/** Resolves to the log of a pod as soon as the API server gives a line of it to who asks all the time. */
export async function untilReadable(
  core: CoreV1Api,
  namespace: string,
  labelSelector: string,
): Promise<string> {
  const late = AbortSignal.timeout(readableWithinMs);
  for (;;) {
    late.throwIfAborted();
    const { items } = await core.listNamespacedPod({ namespace, labelSelector });
    const name = items[0]?.metadata?.name;
    const asked = { namespace, name: name ?? '', timestamps: true };
    // Refused until the kubelet knows that the container runs.
    const log = name && (await core.readNamespacedPodLog(asked).catch(() => ''));
    if (log) return log;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
