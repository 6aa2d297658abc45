import { invalidField, type Refusal } from '@evenfall/errors';
import { TEXT_LIMITS } from './limits.ts';

export const RUNTIMES = ['python3', 'nodejs', 'custom', 'go1', 'web'] as const;
export type Runtime = (typeof RUNTIMES)[number];

/** The port of a web function's server that names none. */
export const DEFAULT_WEB_PORT = 9000;
const MOST_PORT = 65_535;

/** What a runtime expects of its function's settings and package. */
type RuntimeRules = {
  readonly isHandler: RegExp;
  readonly handlerForm: string;
  readonly defaultHandler: string;
  readonly hasHooks: boolean;
  /** Whether what a handler names is a program that the host runs. */
  readonly isProgram: boolean;
  /** Files any of which must be in the package for a handler, in the order in which they are looked for. */
  filesOf(handler: string): string[];
};

const FUNCTION_OF_FILE = {
  isHandler: /^[a-zA-Z0-9_][\w-]*(?:\/[\w-]+)*\.[a-zA-Z_$][\w$]*$/,
  handlerForm: `"file.function", such as "index.main_handler", at most ${TEXT_LIMITS.handler} characters`,
  defaultHandler: '',
  hasHooks: true,
  isProgram: false,
};
const filesWith = (endings: readonly string[]) => (handler: string) => {
  const file = handler.slice(0, handler.lastIndexOf('.'));
  return endings.map((ending) => `${file}${ending}`);
};
/** A module, as Python's import takes it: "file", "folder/file", "package.module"; a package is its __init__.py. */
const pythonFiles = (handler: string): string[] => {
  const module = handler.slice(0, handler.lastIndexOf('.')).replaceAll('.', '/');
  return [`${module}.py`, `${module}/__init__.py`];
};
/** The platform makes nothing of it but a variable and a header. */
const ANYTHING = {
  isHandler: /^[\x20-\x7e]*$/,
  handlerForm: `at most ${TEXT_LIMITS.handler} printable ASCII characters`,
  defaultHandler: '',
  hasHooks: true,
  isProgram: true,
};

const RULES: Readonly<Record<Runtime, RuntimeRules>> = {
  python3: {
    ...FUNCTION_OF_FILE,
    isHandler: /^[a-zA-Z0-9_][\w-]*(?:[./][\w-]+)*\.[a-zA-Z_]\w*$/,
    handlerForm: `"module.function", such as "index.main_handler" or "package.module.function", at most ${TEXT_LIMITS.handler} characters`,
    filesOf: pythonFiles,
  },
  nodejs: { ...FUNCTION_OF_FILE, filesOf: filesWith(['.js', '.mjs', '.cjs']) },
  custom: { ...ANYTHING, filesOf: () => ['bootstrap'] },
  go1: {
    isHandler: /^[\w][\w.-]*(?:\/[\w][\w.-]*)*$/,
    handlerForm: `the path of the executable in the code package, such as "main", at most ${TEXT_LIMITS.handler} characters`,
    defaultHandler: 'main',
    hasHooks: false,
    isProgram: true,
    filesOf: (handler) => [handler],
  },
  web: { ...ANYTHING, filesOf: () => ['scf_bootstrap', 'bootstrap'] },
};

/** The runtime of that name, if there is one. */
export function runtimeOf(text: string): Runtime | undefined {
  return RUNTIMES.find((known) => known === text);
}

/** The handler, or the one that the runtime has where none is given. */
export function handlerOr(runtime: Runtime, given: string): string {
  return given === '' ? RULES[runtime].defaultHandler : given;
}

/** Why a text is no handler of the runtime: INVALID_FIELD; undefined if it is one. */
export function handlerRefusal(runtime: Runtime, field: string, handler: string): Refusal | undefined {
  const { isHandler, handlerForm } = RULES[runtime];
  return handler.length <= TEXT_LIMITS.handler && isHandler.test(handler) ? undefined : invalidField(field, handlerForm);
}

/** Why a function of the runtime cannot have that hook: INVALID_FIELD. One without a name would never be run. */
export function hookHandlerRefusal(runtime: Runtime, field: string, handler: string): Refusal | undefined {
  if (!RULES[runtime].hasHooks) return invalidField(field, `nothing: functions of runtime ${runtime} have no hooks`);
  if (handler === '') return invalidField(`${field}.handler`, 'a name; runtimes that need none take any');
  return handlerRefusal(runtime, `${field}.handler`, handler);
}

/** Why a function of the runtime cannot have that port: INVALID_FIELD; 0 means none. */
export function portRefusal(runtime: Runtime, port: number): Refusal | undefined {
  if (runtime === 'web') return port < 0 || port > MOST_PORT ? invalidField('port', `a port from 1 to ${MOST_PORT}`) : undefined;
  return port === 0 ? undefined : invalidField('port', `nothing: only functions of runtime web have one, not ${runtime}`);
}

/** The port of a web function's server; 0 for any other runtime. */
export function portOr(runtime: Runtime, given: number): number {
  return runtime === 'web' ? given || DEFAULT_WEB_PORT : 0;
}

/** The files any of which may hold a handler, and whether it is run as a program. */
export function filesOfHandler(runtime: Runtime, handler: string): { readonly names: readonly string[]; readonly isProgram: boolean } {
  const { filesOf, isProgram } = RULES[runtime];
  return { names: filesOf(handler), isProgram };
}
