import { runService } from '@evenfall/service-main';
import { gateway } from './descriptor.ts';

await runService(gateway, process.env);
