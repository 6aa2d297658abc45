import { runService } from '@evenfall/service-main';
import { queue } from './descriptor.ts';

await runService(queue, process.env);
