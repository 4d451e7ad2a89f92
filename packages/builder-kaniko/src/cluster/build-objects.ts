import { type Call, CygniError, isCygniError } from '@cygni/core';
import type { V1Job, V1Secret } from '@kubernetes/client-node';
import type { ClusterClient } from './client.ts';
import { eventListSchema, jobSchema } from './objects.ts';

/** What a run asks of the API server, apart from watching and logs. */
export interface BuildObjects {
  /** Makes the Job, or finds the one of that name. Returns its uid. */
  createJob(job: V1Job, call: Call): Promise<{ readonly uid: string; readonly adopted: boolean }>;
  /** Null: there is none. */
  getJob(name: string, call: Call): Promise<V1Job | null>;
  /** Removes the Job with its pod and its Secret. One that is gone, or another of the same name, is left. */
  deleteJob(name: string, uid: string, call: Call): Promise<void>;
  /** Makes the Secret, or replaces the data of the one of that name. */
  putSecret(secret: V1Secret, call: Call): Promise<void>;
  /** Why the Job controller could make no pod; null: it did not say. */
  podRefusal(uid: string, call: Call): Promise<string | null>;
}

export function createBuildObjects(client: ClusterClient, namespace: string): BuildObjects {
  const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`;
  const secrets = `/api/v1/namespaces/${namespace}/secrets`;

  async function getJob(name: string, call: Call): Promise<V1Job | null> {
    const what = `Job ${name}`;
    try {
      return jobSchema.parse(
        await client.send(what, { method: 'GET', path: `${jobs}/${name}` }, call),
      );
    } catch (error) {
      if (isCygniError(error, 'not_found')) return null;
      throw error;
    }
  }

  return {
    getJob,

    async createJob(job, call) {
      const name = job.metadata?.name ?? '';
      const what = `creation of Job ${name}`;
      try {
        const made = await client.send(what, { method: 'POST', path: jobs, body: job }, call);
        return { uid: uidOf(jobSchema.parse(made)), adopted: false };
      } catch (error) {
        if (!isCygniError(error, 'conflict')) throw error;
      }
      const found = await getJob(name, call);
      if (found) return { uid: uidOf(found), adopted: true };
      throw new CygniError('unavailable', `${what}: it was there, and is gone`);
    },

    async deleteJob(name, uid, call) {
      try {
        await client.send(
          `deletion of Job ${name}`,
          {
            method: 'DELETE',
            path: `${jobs}/${name}`,
            body: {
              apiVersion: 'v1',
              kind: 'DeleteOptions',
              // The Job API's own default leaves the pods running.
              propagationPolicy: 'Background',
              preconditions: { uid },
            },
          },
          call,
        );
      } catch (error) {
        if (!isCygniError(error, 'not_found') && !isCygniError(error, 'conflict')) throw error;
      }
    },

    async putSecret(secret, call) {
      const name = secret.metadata?.name ?? '';
      const what = `Secret ${name}`;
      try {
        await client.send(what, { method: 'POST', path: secrets, body: secret }, call);
      } catch (error) {
        if (!isCygniError(error, 'conflict')) throw error;
        await client.send(
          what,
          {
            method: 'PATCH',
            path: `${secrets}/${name}`,
            contentType: 'application/merge-patch+json',
            body: { stringData: secret.stringData },
          },
          call,
        );
      }
    },

    async podRefusal(uid, call) {
      const answer = await client.send(
        'events of a Job',
        {
          method: 'GET',
          path: `/api/v1/namespaces/${namespace}/events`,
          query: { fieldSelector: `involvedObject.uid=${uid},reason=FailedCreate`, limit: 20 },
        },
        call,
      );
      return eventListSchema.parse(answer).items.at(-1)?.message ?? null;
    },
  };
}

function uidOf(job: V1Job): string {
  return job.metadata?.uid ?? '';
}
