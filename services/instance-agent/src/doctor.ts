import { mkdirSync, realpathSync } from 'node:fs';
import { OperatorError } from '@evenfall/errors';
import { examinationText } from './domain/examination.ts';
import { networksText } from './adapters/network/choose-networks.ts';
import { examineHost, networkTermsOf } from './adapters/process/examine-host.ts';
import { findInterpreters } from './adapters/process/interpreters.ts';
import { processDriver } from './adapters/process/process-driver.ts';
import { readConfig } from './config.ts';

// Examines this host as the agent does when it starts, with the same settings, and says what it found. Leaves nothing behind but its folders.
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
  const driver = processDriver({ agentId: `doctor-${process.pid}`, ...examined });
  await driver.prepareReady(config.ready);
  driver.close();
  await examined.release();
  // In the host's network nobody needs to enter others: here it is tried all the same. This host is not made to pass packets on for it.
  const tried = config.network === 'host' ? await networksText(networkTermsOf(config, false)) : undefined;
  const abilities = driver.abilities.map((each) =>
    tried !== undefined && each.name === 'own-network' ? { ...each, detail: `functions share the host’s network; ${tried}` } : each,
  );
  process.stdout.write(`${examinationText(abilities)}\n`);
}
