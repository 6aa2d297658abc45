import { readAnswers } from '../netlink/message.ts';
import { drop, HOOKS, makeTable, moreOftenThan, NETFILTER_PROTOCOL, toPort } from '../netlink/rules.ts';
import type { NetworkServer, Space } from '../network-server.ts';
import { NAMES_PORT } from './names.ts';

/** Questions by UDP a second, and how many more after a pause; the thread that answers counts the same, but has to look at each. */
const QUESTIONS = { perSecond: 500, atOnce: 1_000 };
/** New connections: one is good for many questions. */
const CONNECTIONS = { perSecond: 50, atOnce: 100 };

/**
 * Has the kernel drop questions that come too often in the network of an instance: an instance that floods the name server spends only its own time. Packets that
 * reach the agent cost it 20 µs each.
 */
export async function limitQuestions(server: NetworkServer, space: Space): Promise<void> {
  const rules = [
    [...toPort('UDP', NAMES_PORT), ...moreOftenThan(QUESTIONS.perSecond, QUESTIONS.atOnce), ...drop],
    [...toPort('TCP', NAMES_PORT), ...moreOftenThan(CONNECTIONS.perSecond, CONNECTIONS.atOnce), ...drop],
  ];
  const table = makeTable('evenfall_names', [{ name: 'asking', hook: HOOKS.INPUT, rules }]);
  readAnswers('rules of nf_tables', await server.netlink(space.id, NETFILTER_PROTOCOL, table));
}
