import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { CygniError, type RegistryCredentials } from '@cygni/core';
import { z } from 'zod';
import { isDockerHub } from './client/endpoint.ts';
import { identityTokenUser } from './client/identity-token.ts';
import { parseOptions } from './options.ts';

const optionsSchema = z.object({ file: z.string().min(1).optional() });

/** `file`: a Docker `config.json`. Absent: the one in `$DOCKER_CONFIG`, else in `~/.docker`. */
export type DockerCredentialsOptions = z.input<typeof optionsSchema>;

const helperName = z.string().regex(/^[A-Za-z0-9_.-]{1,100}$/);
const configurationSchema = z.object({
  auths: z
    .record(
      z.string(),
      z.object({ auth: z.string().optional(), identitytoken: z.string().optional() }),
    )
    .default({}),
  credHelpers: z.record(z.string(), helperName).default({}),
  credsStore: helperName.or(z.literal('')).optional(),
});
const helperAnswerSchema = z.object({ Username: z.string(), Secret: z.string() });

const helperWithinMs = 30_000;
const hubKey = 'https://index.docker.io/v1/';
const anonymous: RegistryCredentials = {
  username: '',
  password: '',
  expiresAt: null,
  reach: 'repository',
};

/**
 * What `docker login` left for `host`: from `config.json`, or from the credential helper
 * (`docker-credential-…` in PATH) that it names. Read anew at each call, since helpers hand out
 * credentials that expire without saying when. Anonymous where there are none. An identity token comes as
 * the password of the user `<token>`, as helpers have it; the image client exchanges it for access tokens.
 * @throws `invalid_configuration` if the file cannot be understood; `unavailable` if a helper fails
 */
export function createDockerCredentials(
  host: string,
  options: DockerCredentialsOptions = {},
): () => Promise<RegistryCredentials> {
  const { file = defaultFile() } = parseOptions(optionsSchema, options, 'createDockerCredentials');
  const keys = isDockerHub(host)
    ? [hubKey, 'docker.io', 'index.docker.io', 'registry-1.docker.io']
    : [host, `https://${host}`, `http://${host}`, `https://${host}/`];

  return async () => {
    const configuration = await readConfiguration(file);
    const key = keys.find((each) => Object.hasOwn(configuration.credHelpers, each));
    const helper = key === undefined ? configuration.credsStore : configuration.credHelpers[key];
    if (helper) {
      const found = await askHelper(helper, key ?? keys[0] ?? host);
      if (found) return found;
    }
    for (const each of keys) {
      const entry = Object.hasOwn(configuration.auths, each)
        ? configuration.auths[each]
        : undefined;
      if (entry?.identitytoken) return credentialsOf(identityTokenUser, entry.identitytoken);
      if (entry?.auth) return decode(entry.auth, file);
    }
    return anonymous;
  };
}

function defaultFile(): string {
  return path.join(process.env.DOCKER_CONFIG || path.join(homedir(), '.docker'), 'config.json');
}

async function readConfiguration(file: string): Promise<z.output<typeof configurationSchema>> {
  let content: string;
  try {
    content = await readFile(file, 'utf8');
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    if (missing) return configurationSchema.parse({});
    throw new CygniError('invalid_configuration', `${file} cannot be read`, { cause });
  }
  try {
    return configurationSchema.parse(JSON.parse(content));
  } catch {
    // What is wrong with it may be a secret.
    throw new CygniError('invalid_configuration', `${file} is no Docker configuration`);
  }
}

function decode(auth: string, file: string): RegistryCredentials {
  const pair = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = pair.indexOf(':');
  if (colon < 1) {
    throw new CygniError(
      'invalid_configuration',
      `${file} has an entry that is no user and password`,
    );
  }
  return credentialsOf(pair.slice(0, colon), pair.slice(colon + 1));
}

/** Undefined where the helper has none for this registry. */
async function askHelper(helper: string, server: string): Promise<RegistryCredentials | undefined> {
  const program = `docker-credential-${helper}`;
  const child = spawn(program, ['get'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: helperWithinMs,
  });
  const { promise: ended, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject);
  child.once('close', resolve);
  // A helper that does not read what it is asked says why in its own way.
  child.stdin.on('error', () => undefined);
  child.stdin.end(server);
  let answer: string;
  let code: number | null;
  try {
    [answer, code] = await Promise.all([text(child.stdout), ended]);
  } catch (cause) {
    throw new CygniError('unavailable', `${program} cannot be run`, { cause, retryable: false });
  }
  if (code !== 0) {
    if (/credentials not found/i.test(answer)) return undefined;
    throw new CygniError('unavailable', `${program} failed`);
  }
  const parsed = parseAnswer(answer);
  if (!parsed) throw new CygniError('unavailable', `${program} answered with no credentials`);
  return credentialsOf(parsed.Username, parsed.Secret);
}

function parseAnswer(answer: string): z.output<typeof helperAnswerSchema> | undefined {
  try {
    return helperAnswerSchema.safeParse(JSON.parse(answer)).data;
  } catch {
    return undefined;
  }
}

function credentialsOf(username: string, password: string): RegistryCredentials {
  return { username, password, expiresAt: null, reach: 'account' };
}
