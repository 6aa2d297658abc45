import { invalidField, refuse, type Refusal } from '@evenfall/errors';
import { filesOfHandler, type FunctionSettings, type PackageLimits, RUNTIMES, runtimeOf } from '@evenfall/function-model';

/** One entry of a zip file, as its directory describes it. */
export type PackageEntry = { readonly name: string; readonly mode: number; readonly encrypted: boolean; readonly method: number };

/** What is in a package: paths of its files, and which of them may be run. */
export type PackageFiles = { readonly files: ReadonlySet<string>; readonly programs: ReadonlySet<string> };

export function badPackage(detail: string): Refusal {
  return refuse('INVALID_CODE_PACKAGE', { detail });
}

const FILE_TYPE = 0o170000;
const PLAIN_TYPES = [0, 0o100000, 0o040000];
const ANY_EXECUTE = 0o111;
const MAX_NAME_BYTES = 512;
/** Of one part of a path: what Linux takes (limits.h, NAME_MAX). */
const MAX_PART_BYTES = 255;

/** Notes entries one after another; returns a refusal of the first that could do harm or be ambiguous when unpacked. */
export function entryChecker(limits: PackageLimits): {
  add(entry: PackageEntry): { readonly isFolder: boolean } | Refusal;
  readonly found: PackageFiles;
} {
  const files = new Set<string>();
  const programs = new Set<string>();
  const folders = new Set<string>();
  const explicit = new Set<string>();
  let count = 0;
  return {
    found: { files, programs },
    add(entry) {
      if (++count > limits.maxEntries) return badPackage(`it has more than ${limits.maxEntries} entries`);
      const refusal = entryRefusal(entry);
      if (refusal) return refusal;
      const isFolder = entry.name.endsWith('/');
      const path = isFolder ? entry.name.slice(0, -1) : entry.name;
      if (explicit.has(path)) return badPackage(`"${shown(path)}" is in it twice`);
      explicit.add(path);
      if (isFolder) folders.add(path);
      else files.add(path);
      if (!isFolder && (entry.mode & ANY_EXECUTE) !== 0) programs.add(path);
      for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) folders.add(path.slice(0, slash));
      const parts = path.split('/');
      for (let i = 1; i <= parts.length; i++) {
        const part = parts.slice(0, i).join('/');
        if (files.has(part) && folders.has(part)) return badPackage(`"${shown(part)}" is a file and a folder in it`);
      }
      return { isFolder };
    },
  };
}

function entryRefusal({ name, mode, encrypted, method }: PackageEntry): Refusal | undefined {
  const bad = (what: string): Refusal => badPackage(`the entry "${shown(name)}" ${what}`);
  if (name === '' || Buffer.byteLength(name) > MAX_NAME_BYTES) return bad(`has no name, or one of more than ${MAX_NAME_BYTES} bytes`);
  if (name.includes('\\')) return bad('has a backslash in its name');
  if (/[\u0000-\u001f\u007f]/.test(name)) return bad('has a control character in its name');
  if (name.startsWith('/') || /^[a-zA-Z]:/.test(name)) return bad('has an absolute path');
  const parts = (name.endsWith('/') ? name.slice(0, -1) : name).split('/');
  if (parts.some((part) => part === '..')) return bad('leads out of the package');
  if (parts.some((part) => part === '' || part === '.')) return bad('has an empty part in its path');
  if (parts.some((part) => Buffer.byteLength(part) > MAX_PART_BYTES))
    return bad(`has a part of more than ${MAX_PART_BYTES} bytes in its path`);
  if (!PLAIN_TYPES.includes(mode & FILE_TYPE)) return bad('is a link or a device; only files and folders are taken');
  if (encrypted) return bad('is encrypted');
  if (method !== 0 && method !== 8) return bad(`is compressed by method ${method}; only "stored" and "deflated" are taken`);
  return undefined;
}

/** Why a package does not hold what the function's handlers name, or holds a program that cannot be run: INVALID_CODE_PACKAGE. */
export function handlerFilesRefusal(settings: FunctionSettings, { files, programs }: PackageFiles): Refusal | undefined {
  const runtime = runtimeOf(settings.runtime);
  if (!runtime) return invalidField('runtime', `one of ${RUNTIMES.join(', ')}`);
  const handlers = [settings.handler, settings.initializer?.handler, settings.preStop?.handler];
  for (const handler of handlers) {
    if (handler === undefined) continue;
    const { names, isProgram } = filesOfHandler(runtime, handler);
    const present = names.find((name) => files.has(name)); // the first is what is run
    if (present === undefined)
      return badPackage(`${handler === '' ? `runtime ${runtime}` : `the handler "${handler}"`} needs ${names.join(' or ')} in it`);
    if (isProgram && !programs.has(present))
      return badPackage(`"${shown(present)}" is not executable: "chmod +x" it, and zip it with a tool that keeps file modes`);
  }
  return undefined;
}

function shown(name: string): string {
  return name.length > 100 ? `${name.slice(0, 100)}…` : name;
}
