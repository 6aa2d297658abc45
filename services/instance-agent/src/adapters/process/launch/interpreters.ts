import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { execFileSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StartFault } from '../../../domain/instance-life.ts';
import { findProgram } from './find-program.ts';
import { programOf } from './package-program.ts';

/** How a runtime's process is started. */
export type Command = {
  readonly words: readonly string[];
  /** Whether it is the package's own program: none of its code may run before it is contained, and the channel is not for it. */
  readonly gated: boolean;
};

/** What the host offers, looked up once at the start of the agent. */
export type Interpreters = {
  /** Folders that functions must be able to read, whatever else is kept from them. */
  readonly needs: readonly string[];
  /** The python3 that is used; undefined if there is none. */
  readonly python: string | undefined;
  /** The command of a function whose package is unpacked in `codeDir`, or why there is none. */
  commandOf(fn: Pick<FunctionMessage, 'runtime' | 'handler' | 'memoryMb'>, codeDir: string): Command | StartFault;
};

const RUNTIMES = fileURLToPath(new URL('../../../../../../runtimes/', import.meta.url));

export function findInterpreters(searchPath: string, pythonPath: string | undefined): Interpreters {
  const python = findPython(searchPath, pythonPath);
  const wrap = (...words: string[]): Command => ({ words, gated: false });
  return {
    needs: [dirname(process.execPath), RUNTIMES.replace(/\/$/, ''), ...(python?.folders ?? [])],
    python: python?.program,
    commandOf({ runtime, handler, memoryMb }, codeDir) {
      if (runtime === 'python3' && python) return wrap(python.program, join(RUNTIMES, 'python3/bootstrap.py'));
      if (runtime === 'nodejs') {
        return wrap(process.execPath, ...heapFlags(memoryMb), join(RUNTIMES, 'nodejs/bootstrap.cjs'));
      }
      if (runtime !== 'custom' && runtime !== 'go1' && runtime !== 'web')
        return { statusCode: 445, message: `This host has no runtime "${runtime}"` };
      const program = programOf(runtime, handler, codeDir);
      return typeof program === 'string' ? { words: [program], gated: true } : program;
    },
  };
}

/** What Node uses beside its heap. */
const NODE_MB = 64;
const LEAST_HEAP_MB = 24;

/**
 * Sizes of V8's generations for a function of so much memory. Memory is watched from outside, where garbage counts like everything else: V8 has to
 * collect before that limit is reached. What it cannot collect ends in its abort, which is 434 too. The generation of new objects uses three times its
 * semi-space: V8's own 16 MB would be 48 MB of 128.
 */
function heapFlags(memoryMb: number): string[] {
  const semiMb = Math.min(16, Math.max(1, Math.floor(memoryMb / 64)));
  const oldMb = Math.max(LEAST_HEAP_MB, Math.floor(Math.min(memoryMb - NODE_MB - 3 * semiMb, memoryMb * 0.8)));
  return [`--max-semi-space-size=${semiMb}`, `--max-old-space-size=${oldMb}`];
}

/** The interpreter itself: a pyenv shim in front of it would cost 50 ms at every start. */
function findPython(
  searchPath: string,
  given: string | undefined,
): { readonly program: string; readonly folders: readonly string[] } | undefined {
  const candidate = given ?? findProgram(searchPath, 'python3');
  if (!candidate) return undefined;
  try {
    const script = 'import sys; print(sys.executable, sys.prefix, sys.base_prefix, sep="\\n")';
    const output = execFileSync(candidate, ['-I', '-c', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const [executable = '', ...prefixes] = output.trim().split('\n');
    const program = realpathSync(executable);
    return { program, folders: [dirname(program), ...prefixes.map((each) => realpathSync(each))] };
  } catch {
    return undefined;
  }
}
