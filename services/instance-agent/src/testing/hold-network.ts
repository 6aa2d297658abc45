import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { openPrivateNetworks } from '../adapters/network/open-networks.ts';
import { claimsFolder, claimRange } from '../adapters/process/isolation/claim-file.ts';
import { findLauncher } from '../adapters/process/launch/launcher-program.ts';

// Holds private networks as an agent does, with a process in one of them, until it is killed. Prints the pid of that process.
const launcher = findLauncher();
const { networks } = await openPrivateNetworks({
  launcher,
  subnet: process.argv[2] ?? '',
  allowed: [],
  capacityMb: 1_024,
  ownResolvConf: true,
  hold: (kind, range) => claimRange(launcher, { kind, ...range }),
  forwardingFile: () => join(claimsFolder(), 'forwarding.devices'),
  onFault: () => undefined,
});
const network = await networks.open();
if ('statusCode' in network) throw new Error(network.message);
const fd = network.place?.fd ?? -1;
const child = spawn(launcher, ['--in-network', '3', 'none', '/bin/sleep', '3600'], {
  stdio: ['ignore', 'ignore', 'ignore', fd],
  detached: true,
});
process.stdout.write(`${child.pid}\n`);
setInterval(() => undefined, 60_000);
