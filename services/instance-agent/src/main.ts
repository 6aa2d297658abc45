import { runService } from '@evenfall/service-main';
import { instanceAgent } from './descriptor.ts';

await runService(instanceAgent, process.env);
