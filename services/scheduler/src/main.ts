import { runService } from '@evenfall/service-main';
import { scheduler } from './descriptor.ts';

await runService(scheduler, process.env);
