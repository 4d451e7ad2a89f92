import {
  accountSchema,
  revisionSchema,
  serviceSchema,
  sourceSchema,
  webhookDeliverySchema,
} from '@cygni/core';
import { z } from 'zod';
import { conditionSchema } from '../conditions.ts';
import { problemSchema } from '../problem.ts';
import { buildViewSchema, deploymentViewSchema } from '../views.ts';
import { endpointViewSchema } from '../webhook-views.ts';

type JsonSchema = Record<string, unknown>;

/** What has a name in the document. Everything else stands where it is used. */
const named = {
  Problem: problemSchema,
  Condition: conditionSchema,
  Source: sourceSchema,
  Build: buildViewSchema,
  Deployment: deploymentViewSchema,
  Service: serviceSchema,
  Revision: revisionSchema,
  Account: accountSchema,
  WebhookEndpoint: endpointViewSchema,
  WebhookDelivery: webhookDeliverySchema,
};

const names = z.registry<{ readonly id: string }>();
for (const [id, schema] of Object.entries(named)) names.add(schema, { id });

/** The JSON Schema of what a client sends. */
export function describeInput(schema: z.ZodType): JsonSchema {
  return describe(schema, 'input');
}

/** The JSON Schema of what a client gets; what has a name is a reference to {@link describeComponents}. */
export function describeOutput(schema: z.ZodType): JsonSchema {
  const { $defs: _named, ...description } = describe(schema, 'output');
  return pointToComponents(description);
}

export function describeComponents(): JsonSchema {
  const { $defs } = describe(z.object(named), 'output');
  return pointToComponents({ ...Object($defs) });
}

function describe(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _version, ...description } = z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io,
    metadata: names,
    // The registry of names takes the place of the one that holds descriptions.
    override: ({ zodSchema, jsonSchema }) =>
      Object.assign(jsonSchema, z.globalRegistry.get(zodSchema)),
  });
  return description;
}

function pointToComponents(description: JsonSchema): JsonSchema {
  const text = JSON.stringify(description);
  return JSON.parse(text.replaceAll('"#/$defs/', '"#/components/schemas/'));
}
