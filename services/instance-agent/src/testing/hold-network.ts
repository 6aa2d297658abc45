import { spawn } from 'node:child_process';
import { openPrivateNetworks } from '../adapters/network/open-networks.ts';
import { findProgram } from '../adapters/process/find-program.ts';
import { holdRange } from '../adapters/process/hold-file.ts';
import { findLauncher } from '../adapters/process/launch/program.ts';

// Holds private networks as an agent does, with a process in one of them, until it is killed. Says the number of that process.
const find = (name: string): string | undefined => findProgram('/usr/sbin:/usr/bin:/sbin:/bin', name);
const { networks } = await openPrivateNetworks({
  subnet: process.argv[2] ?? '',
  find,
  mayForward: true,
  allowed: [],
  hold: (range) => holdRange(findLauncher(), { kind: 'addresses', ...range }),
});
const network = await networks.open();
if ('statusCode' in network) throw new Error(network.message);
const child = network.enter(() => spawn('sleep', ['3600'], { stdio: 'ignore', detached: true }));
process.stdout.write(`${child.pid}\n`);
setInterval(() => undefined, 60_000);
