// npm run gen: everything that is generated from proto/.
import { runSteps } from './run.ts';

runSteps([
  { name: 'format protos', command: ['buf', 'format', '-w'] },
  { name: 'generate TypeScript', command: ['buf', 'generate', '--clean'] },
  { name: 'build the descriptor image', command: ['buf', 'build', '--as-file-descriptor-set', '-o', 'libs/contracts/src/gen/image.binpb'] },
]);
