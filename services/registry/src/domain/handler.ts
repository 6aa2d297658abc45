import { invalid } from './fields.ts';

export const RUNTIMES = ['python3', 'nodejs', 'custom', 'go1', 'web'] as const;
export type Runtime = (typeof RUNTIMES)[number];

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
  handlerForm: '"file.function", such as "index.main_handler", at most 128 characters',
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
  handlerForm: 'at most 128 printable ASCII characters',
  defaultHandler: '',
  hasHooks: true,
  isProgram: true,
};

const RULES: Readonly<Record<Runtime, RuntimeRules>> = {
  python3: {
    ...FUNCTION_OF_FILE,
    isHandler: /^[a-zA-Z0-9_][\w-]*(?:[./][\w-]+)*\.[a-zA-Z_]\w*$/,
    handlerForm: '"module.function", such as "index.main_handler" or "package.module.function", at most 128 characters',
    filesOf: pythonFiles,
  },
  nodejs: { ...FUNCTION_OF_FILE, filesOf: filesWith(['.js', '.mjs', '.cjs']) },
  custom: { ...ANYTHING, filesOf: () => ['bootstrap'] },
  go1: {
    isHandler: /^[\w][\w.-]*(?:\/[\w][\w.-]*)*$/,
    handlerForm: 'the path of the executable in the code package, such as "main", at most 128 characters',
    defaultHandler: 'main',
    hasHooks: false,
    isProgram: true,
    filesOf: (handler) => [handler],
  },
  web: { ...ANYTHING, filesOf: () => ['scf_bootstrap', 'bootstrap'] },
};
const MAX_HANDLER_LENGTH = 128;
const DEFAULT_WEB_PORT = 9000;

export function runtimeOf(text: string): Runtime {
  const runtime = RUNTIMES.find((known) => known === text);
  if (!runtime) throw invalid('runtime', `one of ${RUNTIMES.join(', ')}`);
  return runtime;
}

/** The handler, or what the runtime takes for none. */
export function completeHandler(runtime: Runtime, given: string): string {
  const handler = given === '' ? RULES[runtime].defaultHandler : given;
  checkHandler(runtime, 'handler', handler);
  return handler;
}

/** Refuses a hook where there is none, or one without a name: it would never be run. */
export function checkHookHandler(runtime: Runtime, field: string, handler: string): void {
  if (!RULES[runtime].hasHooks) throw invalid(field, `nothing: functions of runtime ${runtime} have no hooks`);
  if (handler === '') throw invalid(`${field}.handler`, 'a name; runtimes that need none take any');
  checkHandler(runtime, `${field}.handler`, handler);
}

function checkHandler(runtime: Runtime, field: string, handler: string): void {
  const { isHandler, handlerForm } = RULES[runtime];
  if (handler.length > MAX_HANDLER_LENGTH || !isHandler.test(handler)) throw invalid(field, handlerForm);
}

/** The port of a web function's server; 0 where there is none. */
export function completePort(runtime: Runtime, given: number): number {
  if (runtime !== 'web') {
    if (given !== 0) throw invalid('port', `nothing: only functions of runtime web have one, not ${runtime}`);
    return 0;
  }
  if (given < 0 || given > 65_535) throw invalid('port', 'a port from 1 to 65535');
  return given === 0 ? DEFAULT_WEB_PORT : given;
}

/** The files any of which may hold a handler, and whether it is run as a program. */
export function filesOfHandler(runtime: Runtime, handler: string): { readonly names: readonly string[]; readonly isProgram: boolean } {
  const { filesOf, isProgram } = RULES[runtime];
  return { names: filesOf(handler), isProgram };
}
