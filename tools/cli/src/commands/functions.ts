import { visibleLines } from '@evenfall/json-text';
import type { FunctionAnswer } from '../answers.ts';
import { type Context, functionPath } from '../context.ts';
import { table, timeText } from '../terminal.ts';

export async function listFunctions(context: Context, options: { readonly filter?: string }): Promise<void> {
  const functions: FunctionAnswer[] = [];
  let token = '';
  do {
    const page = await context.api.call<{ functions: FunctionAnswer[]; next_page_token: string }>('GET', functionPath(context.namespace), {
      query: { page_size: '100', filter: options.filter, ...(token === '' ? {} : { page_token: token }) },
    });
    functions.push(...page.functions);
    token = page.next_page_token;
  } while (token !== '');
  context.terminal.show({ functions }, (seen) => functionsText(seen.functions, context));
}

export async function getFunction(context: Context, name: string, options: { readonly qualifier?: string }): Promise<void> {
  const fn = await context.api.call<FunctionAnswer>('GET', functionPath(context.namespace, name), {
    query: { qualifier: options.qualifier },
  });
  context.terminal.show(fn, () => visibleLines(JSON.stringify(fn, null, 2)));
}

export async function deleteFunction(context: Context, name: string): Promise<void> {
  await context.api.call('DELETE', functionPath(context.namespace, name));
  context.terminal.show({ deleted: name }, () => `deleted ${context.namespace}/${name}`);
}

export async function publishFunction(context: Context, name: string, options: { readonly description?: string }): Promise<void> {
  const fn = await context.api.call<FunctionAnswer>('POST', `${functionPath(context.namespace, name)}/versions`, { json: options });
  context.terminal.show(
    fn,
    ({ namespace, name, version }) => `published ${namespace}/${name} version ${context.terminal.color.bold(version)}`,
  );
}

export async function listVersions(context: Context, name: string): Promise<void> {
  const page = await context.api.call<{ versions: FunctionAnswer[] }>('GET', `${functionPath(context.namespace, name)}/versions`, {
    query: { page_size: '100' },
  });
  context.terminal.show(page, (seen) => functionsText(seen.versions, context));
}

function functionsText(functions: readonly FunctionAnswer[], { terminal, namespace }: Context): string {
  if (functions.length === 0) return `Nothing in namespace "${namespace}".`;
  const rows = functions.map((fn) => [
    fn.name,
    fn.version,
    fn.runtime,
    fn.handler,
    fn.timeout,
    `${fn.memory_mb} MB`,
    fn.code_sha256.slice(0, 12) || 'no code',
    timeText(fn.update_time),
  ]);
  return table(['FUNCTION', 'VERSION', 'RUNTIME', 'HANDLER', 'TIMEOUT', 'MEMORY', 'CODE', 'CHANGED'], rows, terminal.color);
}
