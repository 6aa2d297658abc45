import { createHash } from 'node:crypto';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { msOfDuration } from '@evenfall/time';
import { scfError } from './codes.ts';

/** Settings of SCF that the platform has no field for: kept in the annotations of a function. */
export const NOTES = { runtime: 'scf/runtime', asyncRun: 'scf/async-run-enable', trace: 'scf/trace-enable' } as const;

/** The runtime of SCF that is shown where none was named. */
const SCF_RUNTIMES: Readonly<Record<string, string>> = {
  python3: 'Python3.10',
  nodejs: 'Nodejs18.15',
  go1: 'Go1',
  custom: 'CustomRuntime',
  web: 'CustomRuntime',
};

/** Names of SCF's runtimes. */
const SCF_RUNTIME = /^(?:Python\d\.\d{1,2}|Nodejs\d{1,2}\.\d{1,2}|Php\d(?:\.\d{1,2})?|Java\d{1,2}|Go1|CustomRuntime)$/;

/**
 * The runtime that runs what one of SCF's would: any Python 3, any Node. Of a web function, SCF's runtime names only which interpreters its
 * `scf_bootstrap` finds; here it finds the host's.
 */
export function runtimeOf(scfRuntime: string, isWeb: boolean): string {
  if (isWeb && SCF_RUNTIME.test(scfRuntime)) return 'web';
  if (scfRuntime === 'Go1') return 'go1';
  if (scfRuntime === 'CustomRuntime') return 'custom';
  if (/^Python3\.\d{1,2}$/.test(scfRuntime)) return 'python3';
  if (/^Nodejs\d{1,2}\.\d{1,2}$/.test(scfRuntime)) return 'nodejs';
  throw scfError('InvalidParameterValue.Runtime', 'Python3.x, Nodejs, Go1 and CustomRuntime are offered here.');
}

/** The name of its runtime, as it was created with. */
export function scfRuntimeOf(fn: FunctionMessage): string {
  return fn.annotations[NOTES.runtime] ?? SCF_RUNTIMES[fn.runtime] ?? fn.runtime;
}

/** Whether every call of it is answered with an id at once. */
export function runsAsynchronously(fn: FunctionMessage): boolean {
  return fn.annotations[NOTES.asyncRun] === 'TRUE';
}

/** The id SCF would show: not one of this platform, but always the same for the same function. */
export function functionIdOf(fn: FunctionMessage): string {
  const digest = createHash('sha256').update(`${fn.namespace}/${fn.name}`).digest();
  return `lam-${[...digest.subarray(0, 8)].map((byte) => 'abcdefghijklmnopqrstuvwxyz0123456789'[byte % 36]).join('')}`;
}

/** A function is there at once; without code it waits for some. */
export function statusOf(fn: FunctionMessage): 'Active' | 'Creating' {
  return fn.codeSha256 === '' ? 'Creating' : 'Active';
}

export function secondsOf(duration: FunctionMessage['timeout']): number {
  return Math.ceil((msOfDuration(duration) ?? 0) / 1_000);
}
