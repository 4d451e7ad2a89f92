import { accountSchema, budgetRequestSchema } from '@cygni/core';
import { entityTag, expectedBy } from '../entity-tag.ts';
import { exampleAccount } from '../examples.ts';
import { defineOperation } from '../operation.ts';

const tag = 'Budgets';
const headers = { ETag: 'The state of the account, for If-Match.' };

const getBudget = defineOperation({
  method: 'get',
  path: '/budgets/current',
  operationId: 'getBudget',
  tag,
  summary: 'Look at the account of the present period',
  scope: 'budgets:read',
  success: {
    status: 200,
    description: 'The account.',
    schema: accountSchema,
    example: exampleAccount,
    headers,
  },
  problems: [],
  async answer({ platform, principal, call }) {
    const account = await platform.budgets.get(principal.tenantId, call);
    return { status: 200, body: account, headers: { ETag: entityTag(account) } };
  },
});

const setBudget = defineOperation({
  method: 'put',
  path: '/budgets/current',
  operationId: 'setBudget',
  tag,
  summary: 'Set the cap of this and later periods',
  scope: 'budgets:write',
  conditional: true,
  body: budgetRequestSchema,
  success: {
    status: 200,
    description: 'The account under the new cap.',
    schema: accountSchema,
    example: exampleAccount,
    headers,
  },
  problems: [],
  example: { body: { limit: exampleAccount.limit } },
  async answer({ platform, principal, call, request }, { body }) {
    const { tenantId } = principal;
    const expected = await expectedBy(request, () => platform.budgets.get(tenantId, call));
    const account = await platform.budgets.set(tenantId, body, expected, call);
    return { status: 200, body: account, headers: { ETag: entityTag(account) } };
  },
});

export const budgetOperations = [getBudget, setBudget];
