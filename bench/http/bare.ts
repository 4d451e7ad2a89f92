import type { RequestListener } from 'node:http';
import express from 'express';
import pg from 'pg';
import { poolSize } from './protocol.ts';

/** What the API is measured against: a handler that parses JSON and does one durable insert, and nothing else. */
export async function serveBare(databaseUrl: string): Promise<RequestListener> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: poolSize });
  await pool.query('CREATE TABLE bare (id bigserial PRIMARY KEY, request jsonb NOT NULL)');
  return express().post('/v1/builds', express.json(), async (request, response) => {
    const query = { name: 'insert', text: 'INSERT INTO bare (request) VALUES ($1) RETURNING id' };
    const { rows } = await pool.query({ ...query, values: [request.body] });
    response.status(202).json(rows[0]);
  });
}
