import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FunctionAnswer } from '../answers.ts';
import { type Context, functionPath } from '../context.ts';
import { Failure } from '../failure.ts';
import { packageFolder } from '../package-folder.ts';

/** A setting, or the fields of one. */
export type Fields = { readonly [name: string]: null | Fields };
const POLICY: Fields = {
  kill_signal: null,
  grace_period: null,
  max_grace_period: null,
  escalation: null,
  signal_scope: null,
  exit_grace: null,
  exit_after_answer: null,
};
const HOOK: Fields = { handler: null, timeout: null };
/** What a description may leave out: a deploy sets it back to its default. */
export const OPTIONAL: Fields = {
  handler: null,
  description: null,
  timeout: null,
  memory_mb: null,
  tmp_mb: null,
  max_processes: null,
  environment: null,
  annotations: null,
  termination: POLICY,
  termination_by_cause: { timeout: POLICY, drain: POLICY, update: POLICY },
  event_invoke: { max_retries: null, retry_interval: null, max_event_age: null, on_success: null, on_failure: null },
  initializer: HOOK,
  pre_stop: HOOK,
  init_timeout: null,
  port: null,
};

/** A patch that makes the settings what they are in the description: null for all that it leaves out. */
function wholePatch(fields: Fields, described: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const left = Object.entries(fields).map(([name, inner]) => {
    const value = described[name];
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return [name, isObject && inner ? wholePatch(inner, value as Record<string, unknown>) : (value ?? null)]; // an object's keys are text
  });
  return { ...described, ...(Object.fromEntries(left) as Record<string, unknown>) };
}

export type DeployOptions = { readonly publish: boolean; readonly withNodeModules: boolean };

/** What became of a deploy. */
export type Deployed = { readonly fn: FunctionAnswer; readonly created: boolean };

/** Makes the function what its folder says: creates it, or changes settings and code. */
export async function deployFolder(context: Pick<Context, 'api' | 'namespace'>, dir: string, options: DeployOptions): Promise<Deployed> {
  const { api } = context;
  const { name, namespace = context.namespace, ...settings } = await readDescription(dir);
  const zip = await packageFolder(dir, options);
  const path = functionPath(namespace, name);
  let created = false;
  let fn: FunctionAnswer;
  if (await exists(context, path)) {
    // Settings first: the upload is checked against the handler.
    await api.call('PATCH', path, { json: wholePatch(OPTIONAL, settings) });
    fn = await api.call('PUT', `${path}/code`, { body: { bytes: zip, type: 'application/zip' } });
  } else {
    fn = await api.call('POST', functionPath(namespace), { json: { name, ...settings, code_zip: zip.toString('base64') } });
    created = true;
  }
  if (options.publish) fn = await api.call('POST', `${path}/versions`, { json: {} });
  return { fn, created };
}

export async function deploy(context: Context, dir: string, options: DeployOptions): Promise<void> {
  const { fn, created } = await deployFolder(context, dir, options);
  const { color } = context.terminal;
  context.terminal.show(fn, (fn) => {
    const size = `${(fn.code_size_bytes / 1024).toFixed(1)} KB`;
    return `${color.green(created ? 'created' : 'updated')} ${color.bold(`${fn.namespace}/${fn.name}`)} ${fn.version} (${fn.runtime}, ${size}, ${fn.code_sha256.slice(0, 12)})`;
  });
}

async function exists(context: Pick<Context, 'api'>, path: string): Promise<boolean> {
  try {
    await context.api.call('GET', path);
    return true;
  } catch (error) {
    if (error instanceof Failure && error.reason === 'FUNCTION_NOT_FOUND') return false;
    throw error;
  }
}

type Description = { readonly name: string; readonly namespace?: string };

async function readDescription(dir: string): Promise<Description> {
  const file = join(dir, 'function.json');
  const text = await readFile(file, 'utf8').catch(() => {
    throw new Failure(`There is no ${file}. It describes the function: {"name", "runtime", "handler", …}.`, 2);
  });
  let description: unknown;
  try {
    description = JSON.parse(text);
  } catch (error) {
    throw new Failure(`${file} is not valid JSON: ${error instanceof Error ? error.message : String(error)}`, 2);
  }
  if (typeof description !== 'object' || description === null || !('name' in description) || typeof description.name !== 'string') {
    throw new Failure(`${file} gives the function no name.`, 2);
  }
  return description as Description; // the API checks the rest
}
