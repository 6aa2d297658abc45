import { runService } from '@evenfall/service-main';
import { eventStore } from './descriptor.ts';

await runService(eventStore, process.env);
