import { fstatSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { OWN_DATA_DIR } from './access-key.ts';
import { runCommand } from './run.ts';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0); // "| head" has seen enough
  throw error;
});

process.exitCode = await runCommand(process.argv.slice(2), {
  env: process.env,
  ownDataDir: OWN_DATA_DIR,
  stdout: (line) => void process.stdout.write(line),
  stderr: (line) => void process.stderr.write(line),
  readStdin: () => buffer(process.stdin),
  stdinHasPayload: stdinHasPayload(),
  stdoutIsTerminal: process.stdout.isTTY,
});

/** Files and shells' pipes are meant to be read. A program that starts this one leaves a socket open that may never end. */
function stdinHasPayload(): boolean {
  try {
    const stat = fstatSync(0);
    return stat.isFile() || stat.isFIFO();
  } catch {
    return false; // there is no standard input
  }
}
