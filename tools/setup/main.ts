// node tools/setup/main.ts FOLDER IDENTITY…: makes the authority, the certificates and the secrets of a deployment on one machine, and keeps
// those that are there. FOLDER/authority is its own; FOLDER/<identity> is what one container sees (deploy/compose).
import { chownSync } from 'node:fs';
import { OperatorError } from '@evenfall/errors';
import { isIdentity } from '@evenfall/peer-identity';
import { KAFKA_ADMIN, OTHERS } from './secrets.ts';
import { setUp } from './set-up.ts';

const [folder, ...identities] = process.argv.slice(2);
const wrong = identities.filter((identity) => !OTHERS.includes(identity) && !isIdentity(identity));
if (folder === undefined || identities.length === 0 || wrong.length > 0) {
  process.stderr.write(`evenfall setup: FOLDER IDENTITY…${wrong.length > 0 ? `; none is ${wrong.join(', ')}` : ''}\n`);
  process.exit(2);
}
try {
  const own = (file: string, uid: number): void => chownSync(file, uid, uid);
  const issued = await setUp(folder, identities, { nowMs: Date.now(), own });
  const certified = identities.filter((identity) => identity !== KAFKA_ADMIN); // it has a password and no certificate
  const kept = certified.length - issued.length;
  process.stdout.write(`evenfall setup: certificates issued for ${issued.join(', ') || 'none'}; ${kept} kept as they were\n`);
} catch (error) {
  if (!(error instanceof OperatorError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
