import { text } from 'node:stream/consumers';
import { runCommand } from './run.ts';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0); // "| head" has seen enough
  throw error;
});

process.exitCode = await runCommand(process.argv.slice(2), {
  env: process.env,
  stdout: (line) => void process.stdout.write(line),
  stderr: (line) => void process.stderr.write(line),
  readStdin: () => text(process.stdin),
  stdinIsTerminal: process.stdin.isTTY === true,
  stdoutIsTerminal: process.stdout.isTTY === true,
});
