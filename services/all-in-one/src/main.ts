import { runAllInOne } from './service.ts';

await runAllInOne(process.env);
