import {
  type Build,
  buildSchema,
  builtImageSchema,
  type Deployment,
  deploymentSchema,
} from '@cygni/core';
import { z } from 'zod';
import { buildConditions, conditionSchema, deploymentConditions } from './conditions.ts';

export const buildViewSchema = buildSchema.extend({
  image: builtImageSchema
    .extend({ reference: z.string().describe('What `docker pull` takes.') })
    .nullable(),
  conditions: z.array(conditionSchema),
});

/** A build as the API shows it: the stored resource, the image's whole reference and the conditions. */
export function viewBuild(build: Build, registryHost: string): z.output<typeof buildViewSchema> {
  const { image } = build;
  return {
    ...build,
    image: image && {
      ...image,
      reference: `${registryHost}/${image.repository}@${image.digest}`,
    },
    conditions: buildConditions(build),
  };
}

export const deploymentViewSchema = deploymentSchema.extend({
  conditions: z.array(conditionSchema),
});

export function viewDeployment(deployment: Deployment): z.output<typeof deploymentViewSchema> {
  return { ...deployment, conditions: deploymentConditions(deployment) };
}
