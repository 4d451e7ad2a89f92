import { CygniError } from '@cygni/core';
import pg from 'pg';
import type { z } from 'zod';
import type { TypeParsers } from './pool.ts';

export type Row = Readonly<Record<string, unknown>>;

const int8 = 20;
const timestamptz = 1184;

/** Passed with each query: whatever a borrowed pool's owner did to pg's global parsers changes nothing here. */
export const typeParsers: TypeParsers = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (format === 'binary') return pg.types.getTypeParser(oid, format);
    if (oid === int8) return safeInteger;
    if (oid === timestamptz) return isoTime;
    if (oid === pg.types.builtins.JSON) return JSON.parse;
    return pg.types.getTypeParser(oid, 'text');
  },
};

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw new CygniError('internal', 'a stored number is beyond what this platform counts');
  }
  return value;
}

function isoTime(text: string): string {
  return new Date(text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00')).toISOString();
}

/**
 * Makes the model's object from a row whose columns are named as its fields are.
 */
export function parseRow<Schema extends z.ZodType>(schema: Schema, row: Row): z.output<Schema> {
  const parsed = schema.safeParse(row);
  if (parsed.success) return parsed.data;
  throw new CygniError('internal', 'a stored row does not have the expected shape', {
    cause: parsed.error,
  });
}

/** The columns that have no prefix. */
export function own(row: Row): Row {
  return Object.fromEntries(Object.entries(row).filter(([name]) => !name.includes('.')));
}

/** The columns `prefix.*`, without the prefix. */
export function part(row: Row, prefix: string): Row {
  const start = `${prefix}.`;
  const columns = Object.entries(row).filter(([name]) => name.startsWith(start));
  return Object.fromEntries(columns.map(([name, value]) => [name.slice(start.length), value]));
}
