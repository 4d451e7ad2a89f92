import { z } from 'zod';

const separated = z
  .string()
  .default('')
  .transform((text) => text.split(',').map((each) => each.trim()))
  .transform((list) => list.filter((each) => each !== ''));

const originSchema = z
  .url({ protocol: /^https?$/ })
  .refine(
    (text) => URL.canParse(text) && new URL(text).origin === text,
    'an origin, without a path',
  );

const proxySchema = z.union([
  z.enum(['loopback', 'linklocal', 'uniquelocal']),
  z.ipv4(),
  z.ipv6(),
  z.cidrv4(),
  z.cidrv6(),
]);

/** What is read of the environment about who may reach the API, and how often. */
export const exposureVariables = z.object({
  RATE_LIMIT_PER_TENANT: z.coerce
    .number()
    .int()
    .min(1)
    .default(12_000)
    .meta({ description: 'requests of a tenant in a minute' }),
  RATE_LIMIT_PER_TOKEN: z.coerce
    .number()
    .int()
    .min(1)
    .default(6_000)
    .meta({ description: 'requests with one token in a minute' }),
  CORS_ORIGINS: separated.pipe(z.array(originSchema)).meta({
    description: 'origins whose pages may use the API from browsers, with commas between them',
  }),
  TRUST_PROXY: z
    .union([
      z
        .string()
        .regex(/^\d{1,2}$/)
        .transform(Number),
      separated.pipe(z.array(proxySchema)),
    ])
    .default([])
    .meta({
      description:
        'whose X-Forwarded-For is believed: how many proxies there are, or their addresses with commas between them',
    }),
});

export interface Exposure {
  /** Requests in a minute. */
  readonly rateLimits: { readonly perTenant: number; readonly perToken: number };
  readonly corsOrigins: readonly string[];
  /** As Express's setting `trust proxy`. */
  readonly trustProxy: number | string[];
}

export function exposureConfiguration(variables: z.output<typeof exposureVariables>): Exposure {
  return {
    rateLimits: {
      perTenant: variables.RATE_LIMIT_PER_TENANT,
      perToken: variables.RATE_LIMIT_PER_TOKEN,
    },
    corsOrigins: variables.CORS_ORIGINS,
    trustProxy: variables.TRUST_PROXY,
  };
}
