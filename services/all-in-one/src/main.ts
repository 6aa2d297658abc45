import { runMain } from '@evenfall/lifecycle';
import { readConfig } from './config.ts';
import { doorsLine } from './doors-line.ts';
import { startAllInOne } from './service.ts';

let stopWithinMs = 30_000;
await runMain({
  stopWithinMs: () => stopWithinMs,
  async start() {
    const config = readConfig(process.env);
    stopWithinMs = config.agentDrainDeadlineMs + 30_000;
    const running = await startAllInOne(config);
    const { http, grpc, metrics } = running.addresses;
    process.stdout.write(`${doorsLine(config.gateway, running, process.stdout.isTTY)}\n`);
    process.stdout.write(`evenfall ready http=${http} grpc=${grpc} metrics=${metrics}\n`);
    return running;
  },
});
