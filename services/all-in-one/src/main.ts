import { runMain } from '@evenfall/lifecycle';
import { readConfig } from './config.ts';
import { startAllInOne } from './service.ts';

await runMain({
  stopWithinMs: () => 30_000,
  async start() {
    const running = await startAllInOne(readConfig(process.env));
    const { http, grpc, metrics } = running.addresses;
    process.stdout.write(`evenfall ready http=${http} grpc=${grpc} metrics=${metrics}\n`);
    return running;
  },
});
