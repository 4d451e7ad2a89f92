#!/usr/bin/env -S node --conditions=cygni-source
import { parseArgs } from 'node:util';
import { type Configuration, readConfiguration, variableSchemas } from './configuration.ts';
import { createToken } from './create-token.ts';
import { explainVariables } from './explain.ts';
import { serve } from './serve.ts';

const usage = `cygni-server                       starts the server
cygni-server token create          prints a token, signed by the key in CYGNI_DATA_DIR
    --tenant NAME                  the tenant that it opens
    --scope SCOPE                  what for; may be given several times
    --expires TIME                 as in 30m, 24h, 7d
    --subject NAME                 who it is for; cli
cygni-server config --explain      prints every variable of the configuration and what it means
`;

const wrongUsage = 2;

function refuse(code: number, ...problems: readonly string[]): never {
  for (const problem of problems) console.error(problem);
  process.exit(code);
}

function configuration(): Configuration {
  const result = readConfiguration(process.env);
  return result.ok ? result.configuration : refuse(1, ...result.problems);
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        tenant: { type: 'string' },
        scope: { type: 'string', multiple: true },
        expires: { type: 'string' },
        subject: { type: 'string' },
        explain: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
  } catch (error) {
    return refuse(wrongUsage, error instanceof Error ? error.message : 'wrong arguments', usage);
  }
}

const { positionals, values } = parse();
const { explain = false, help = false, ...ofToken } = values;
switch (positionals.join(' ')) {
  case '':
    if (help) console.log(usage);
    else await serve(configuration());
    break;
  case 'token create': {
    const created = await createToken(configuration().dataDirectory, ofToken);
    if (!created.ok) refuse(wrongUsage, ...created.problems);
    console.log(created.token);
    break;
  }
  case 'config':
    if (!explain) refuse(wrongUsage, usage);
    console.log(explainVariables(variableSchemas));
    break;
  default:
    refuse(wrongUsage, usage);
}
