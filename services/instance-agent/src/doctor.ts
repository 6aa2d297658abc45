import { mkdirSync, realpathSync } from 'node:fs';
import { OperatorError } from '@evenfall/errors';
import { examinationText } from './domain/examination.ts';
import { claimBeside } from './adapters/process/isolation/claim-cgroups.ts';
import { examineHost } from './adapters/process/host-probe/examine-host.ts';
import { findInterpreters } from './adapters/process/launch/interpreters.ts';
import { processDriver } from './adapters/process/process-driver.ts';
import { readConfig } from './config.ts';

// Examines this host as the agent does when it starts, with the same settings, and prints the result. Leaves nothing behind but its folders.
try {
  await examine();
} catch (error) {
  const known = OperatorError.in(error);
  if (!known) throw error;
  process.stderr.write(`${known.message}\n`);
  process.exitCode = 1;
}

async function examine(): Promise<void> {
  const config = readConfig(process.env);
  mkdirSync(config.dataDir, { recursive: true });
  const dataDir = realpathSync(config.dataDir);
  const examined = await examineHost(dataDir, findInterpreters(config.searchPath, config.pythonPath), config);
  const agentId = `doctor-${process.pid}`;
  const cgroups = await claimBeside(examined, agentId);
  const driver = processDriver({ agentId, cgroupName: cgroups.name, ...examined });
  await driver.prepareReady(config.ready);
  driver.close();
  await cgroups.release();
  process.stdout.write(`${examinationText(driver.abilities)}\n`);
}
