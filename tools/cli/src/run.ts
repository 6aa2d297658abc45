import { OperatorError } from '@evenfall/errors';
import { CommanderError } from 'commander';
import { visibleLines } from '@evenfall/json-text';
import { Failure } from './failure.ts';
import { createProgram, type Surroundings } from './program.ts';

/** Runs one command and says how it went: 0 done, 1 refused, 2 wrongly asked. */
export async function runCommand(args: readonly string[], world: Surroundings): Promise<0 | 1 | 2> {
  try {
    await createProgram(world).parseAsync([...args], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // it has said what is wrong
    if (error instanceof OperatorError) {
      world.stderr(`evenfall: ${visibleLines(error.message)}\n`);
      return 1;
    }
    if (!(error instanceof Failure)) throw error;
    const json = args.includes('--json') && error.apiError !== undefined;
    world.stderr(json ? `${JSON.stringify({ error: error.apiError })}\n` : `evenfall: ${visibleLines(error.message)}\n`);
    return error.exitCode;
  }
}
