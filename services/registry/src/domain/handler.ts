import { invalid } from './fields.ts';

export const RUNTIMES = ['python3', 'nodejs'] as const;
export type Runtime = (typeof RUNTIMES)[number];

const HANDLER = /^[a-zA-Z0-9_][\w-]*(?:\/[\w-]+)*\.[a-zA-Z_$][\w$]*$/;
const ENDINGS: Readonly<Record<Runtime, readonly string[]>> = { python3: ['.py'], nodejs: ['.js', '.mjs', '.cjs'] };

export function runtimeOf(text: string): Runtime {
  const runtime = RUNTIMES.find((known) => known === text);
  if (!runtime) throw invalid('runtime', `one of ${RUNTIMES.join(', ')}`);
  return runtime;
}

export function checkHandler(field: string, handler: string): void {
  if (handler.length > 128 || !HANDLER.test(handler))
    throw invalid(field, '"file.function", such as "index.main_handler", at most 128 characters');
}

/** The files any of which may hold a handler. */
export function filesOfHandler(runtime: Runtime, handler: string): string[] {
  const file = handler.slice(0, handler.lastIndexOf('.'));
  return ENDINGS[runtime].map((ending) => `${file}${ending}`);
}
