import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { execFileSync } from 'node:child_process';
import { accessSync, constants, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StartFault } from '../../domain/instance-life.ts';
import { programOf } from './package-program.ts';

/** How a runtime's process is started: the program and what comes before anything else. */
export type Command = {
  readonly program: string;
  readonly args: readonly string[];
  /** Whether it waits for a line on its channel before it runs any code of the package. */
  readonly gated: boolean;
};

/** What the host offers, looked up once at the start of the agent. */
export type Interpreters = {
  /** The command of a function whose package is unpacked in `codeDir`; or why there is none. */
  commandOf(fn: Pick<FunctionMessage, 'runtime' | 'handler' | 'memoryMb'>, codeDir: string): Command | StartFault;
};

/** Waits for a line, then becomes the program: the same process, without the channel. */
const GATE = 'read -r _ <&3 || exit 125; exec "$@" 3<&-';

const RUNTIMES = fileURLToPath(new URL('../../../../../runtimes/', import.meta.url));

export function findInterpreters(searchPath: string, pythonPath: string | undefined): Interpreters {
  const python = findPython(searchPath, pythonPath);
  const setpriv = findProgram(searchPath, 'setpriv');
  // The function must not outlive the agent, even one that was killed: the kernel sends the signal (prctl(2), PR_SET_PDEATHSIG).
  const prefix = setpriv && worksWithParentDeath(setpriv) ? [setpriv, '--pdeathsig', 'KILL', '--'] : [];
  const wrap = (...words: string[]): Command => {
    const [program = '', ...args] = [...prefix, ...words];
    return { program, args, gated: false };
  };
  return {
    commandOf({ runtime, handler, memoryMb }, codeDir) {
      if (runtime === 'python3' && python) return wrap(python, join(RUNTIMES, 'python3/bootstrap.py'));
      if (runtime === 'nodejs') {
        // Memory is watched from outside, so that every runtime ends 434. V8's own limit stands well above: it would end in SIGABRT, 439.
        return wrap(process.execPath, `--max-old-space-size=${memoryMb + 512}`, join(RUNTIMES, 'nodejs/bootstrap.cjs'));
      }
      if (runtime !== 'custom' && runtime !== 'go1' && runtime !== 'web')
        return { statusCode: 445, message: `This host has no runtime "${runtime}"` };
      const program = programOf(runtime, handler, codeDir);
      return typeof program === 'string' ? { ...wrap('/bin/sh', '-c', GATE, 'sh', program), gated: true } : program;
    },
  };
}

/** The interpreter itself: a pyenv shim in front of it would cost 50 ms at every start. */
function findPython(searchPath: string, given: string | undefined): string | undefined {
  const candidate = given ?? findProgram(searchPath, 'python3');
  if (!candidate) return undefined;
  try {
    const script = 'import sys; print(sys.executable)';
    return realpathSync(execFileSync(candidate, ['-I', '-c', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim());
  } catch {
    return undefined;
  }
}

function findProgram(searchPath: string, name: string): string | undefined {
  for (const folder of searchPath.split(delimiter)) {
    if (folder === '') continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not here
    }
  }
  return undefined;
}

function worksWithParentDeath(setpriv: string): boolean {
  try {
    execFileSync(setpriv, ['--pdeathsig', 'KILL', '--', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false; // too old (before util-linux 2.33), or not the one we mean
  }
}
