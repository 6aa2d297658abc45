import type { ProvisionedAnswer, ReservedAnswer } from '../answers.ts';
import { type Context, functionPath } from '../context.ts';
import { table } from '../terminal.ts';

export type VersionOptions = { readonly qualifier: string };

const reservedPath = (context: Context, name: string): string => `${functionPath(context.namespace, name)}/reserved-concurrency`;
const provisionedPath = (context: Context, name: string): string => `${functionPath(context.namespace, name)}/provisioned-concurrency`;

/** Shows what is reserved and provisioned. */
export async function showConcurrency(context: Context, name: string): Promise<void> {
  const reserved = await context.api.call<ReservedAnswer>('GET', reservedPath(context, name));
  const provisioned = await context.api.call<{ versions: ProvisionedAnswer[]; unallocated_mb: number }>(
    'GET',
    provisionedPath(context, name),
  );
  context.terminal.show({ reserved, provisioned }, ({ reserved, provisioned }) => {
    const lines = [reservedText(reserved)];
    if (provisioned.versions.length > 0) lines.push('', provisionedText(provisioned.versions, context));
    return lines.join('\n');
  });
}

export async function reserveConcurrency(context: Context, name: string, megabytes: string): Promise<void> {
  const answer = await context.api.call<ReservedAnswer>('PUT', reservedPath(context, name), { json: { memory_mb: Number(megabytes) } });
  context.terminal.show(answer, reservedText);
}

export async function releaseConcurrency(context: Context, name: string): Promise<void> {
  await context.api.call('DELETE', reservedPath(context, name));
  context.terminal.show({ released: name }, () => `${context.namespace}/${name} shares with all others`);
}

export async function provision(context: Context, name: string, instances: string, { qualifier }: VersionOptions): Promise<void> {
  const answer = await context.api.call<ProvisionedAnswer>('PUT', provisionedPath(context, name), {
    query: { qualifier },
    json: { instances: Number(instances) },
  });
  context.terminal.show(answer, (seen) => provisionedText([seen], context));
}

export async function unprovision(context: Context, name: string, { qualifier }: VersionOptions): Promise<void> {
  await context.api.call('DELETE', provisionedPath(context, name), { query: { qualifier } });
  context.terminal.show({ unprovisioned: name, qualifier }, () => `${context.namespace}/${name} version ${qualifier} keeps none ready`);
}

function reservedText({ memory_mb: memoryMb, available_mb: availableMb, total_mb: totalMb }: ReservedAnswer): string {
  const what = memoryMb === null ? 'nothing reserved' : memoryMb === 0 ? 'off: 0 MB reserved' : `${memoryMb} MB reserved`;
  return `${what} (at most ${availableMb} of ${totalMb} MB)`;
}

function provisionedText(versions: readonly ProvisionedAnswer[], { terminal }: Context): string {
  const rows = versions.map((one) => [
    one.version,
    String(one.instances),
    String(one.available_instances),
    String(one.starting_instances),
    one.state,
    one.reason,
  ]);
  return table(['VERSION', 'WANTED', 'AVAILABLE', 'STARTING', 'STATE', 'REASON'], rows, terminal.color);
}
