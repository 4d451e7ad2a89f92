import { z } from 'zod';

const messageSchema = z.strictObject({
  v: z.int(),
  kind: z.enum(['build', 'deployment']),
  id: z.string(),
  priority: z.literal('high').exactOptional(),
});

const withId = { id: z.int() };

export const requestSchema = z.discriminatedUnion('do', [
  z.strictObject({ ...withId, do: z.literal('enqueue'), messages: z.array(messageSchema) }),
  /** Answered when there is a message. */
  z.strictObject({ ...withId, do: z.literal('take'), kind: z.enum(['build', 'deployment']) }),
  z.strictObject({ ...withId, do: z.literal('count') }),
]);
export type HubRequest = z.output<typeof requestSchema>;

export const answerSchema = z.strictObject({
  ...withId,
  message: messageSchema.optional(),
  depth: z.strictObject({ build: z.int(), deployment: z.int() }).optional(),
});
export type HubAnswer = z.output<typeof answerSchema>;
