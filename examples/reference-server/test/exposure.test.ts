import { once } from 'node:events';
import { createServer } from 'node:http';
import express from 'express';
import { describe, expect, it } from 'vitest';
import { exposureConfiguration, exposureVariables } from '../src/exposure.ts';

const read = (variables: object) => exposureConfiguration(exposureVariables.parse(variables));

/** The address that a server believes a client to have which says `forwarded` of itself. */
async function addressOf(variables: object, forwarded: string): Promise<string> {
  const app = express().set('trust proxy', read(variables).trustProxy);
  app.get('/', (request, response) => {
    response.json({ ip: request.ip });
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    const { port } = Object(server.address());
    const headers = { 'x-forwarded-for': forwarded };
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers });
    return Object(await response.json()).ip;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

describe('X-Forwarded-For', () => {
  it('is believed of nobody by default', async () => {
    expect(await addressOf({}, '203.0.113.7')).toBe('127.0.0.1');
  });

  it('is believed of the proxies that are named, and not of what a client has put before', async () => {
    const named = { TRUST_PROXY: '127.0.0.1, 10.0.0.0/8' };
    expect(await addressOf(named, '198.51.100.1, 203.0.113.7')).toBe('203.0.113.7');
    expect(await addressOf(named, '203.0.113.7, 10.1.2.3')).toBe('203.0.113.7');
    expect(await addressOf({ TRUST_PROXY: '1' }, '198.51.100.1, 203.0.113.7')).toBe('203.0.113.7');
  });

  it('is not believed of a proxy that is not named', async () => {
    expect(await addressOf({ TRUST_PROXY: '10.0.0.0/8' }, '203.0.113.7')).toBe('127.0.0.1');
  });
});

describe('the variables', () => {
  it.each<[string, string]>([
    ['TRUST_PROXY', 'true'],
    ['TRUST_PROXY', '*'],
    ['TRUST_PROXY', 'proxy.example.com'],
    ['CORS_ORIGINS', '*'],
    ['CORS_ORIGINS', 'https://console.example.com/path'],
    ['CORS_ORIGINS', 'null'],
    ['RATE_LIMIT_PER_TOKEN', '0'],
  ])('refuse %s=%s', (name, value) => {
    expect(exposureVariables.safeParse({ [name]: value }).success).toBe(false);
  });

  it('take several origins', () => {
    const { corsOrigins } = read({ CORS_ORIGINS: 'https://a.example, http://localhost:5173' });
    expect(corsOrigins).toEqual(['https://a.example', 'http://localhost:5173']);
  });
});
