// A reader in a process of its own, to be killed or stopped. Arguments: brokers, topic. Prints what it receives on stdout, one JSON document per line.
import { readAll, testLog } from './open.ts';

const [, , brokers = '', topic = ''] = process.argv;
const log = await testLog(brokers, topic);
const { calls, mine, subscription } = readAll(log, 'shared');
let output = 0;
setInterval(() => {
  const seen = calls.slice(output);
  output = calls.length;
  if (seen.length > 0) process.stdout.write(`${JSON.stringify({ seen, mine: [...mine], isOwner: subscription.isOwner() })}\n`);
}, 10);
