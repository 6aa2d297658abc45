import { mkdirSync, realpathSync } from 'node:fs';
import { examinationText } from './domain/examination.ts';
import { examineHost } from './adapters/process/examine-host.ts';
import { findInterpreters } from './adapters/process/interpreters.ts';
import { processDriver } from './adapters/process/process-driver.ts';
import { readConfig } from './config.ts';

// Examines this host as the agent does when it starts, with the same settings, and says what it found. Leaves nothing behind but its folders.
const config = readConfig(process.env);
mkdirSync(config.dataDir, { recursive: true });
const dataDir = realpathSync(config.dataDir);
const examined = await examineHost(dataDir, findInterpreters(config.searchPath, config.pythonPath), config);
const driver = processDriver({ agentId: `doctor-${process.pid}`, ...examined });
await driver.prepareReady(config.ready);
process.stdout.write(`${examinationText(driver.abilities)}\n`);
driver.close();
examined.release();
