import { runService } from '@evenfall/service-main';
import { registry } from './descriptor.ts';

await runService(registry, process.env);
