import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { refuse } from '@evenfall/errors';
import { superviseLoop } from '@evenfall/lifecycle';
import type { FunctionCache, GatewayPorts } from '../ports.ts';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';

/** Functions in the cache; the oldest one is removed first. */
const MAX_FUNCTIONS = 10_000;

type Entries = Map<string, Promise<FunctionMessage>>;

/** A cache that look-ups fill and the registry's watch empties. While there is no watch it holds nothing. */
export function createFunctionCache(
  ports: Pick<GatewayPorts, 'registry' | 'log'>,
): FunctionCache & { run(signal: AbortSignal): Promise<void> } {
  let isWatching = false;
  let functions = new Map<string, Entries>();

  const ask = async (namespace: string, name: string, qualifier: string): Promise<FunctionMessage> => {
    const { function: fn } = await ports.registry.resolveFunction({ namespace, name, qualifier }, { timeoutMs: TIMEOUTS_MS.read });
    if (!fn) throw refuse('FUNCTION_NOT_FOUND', { namespace, function: name });
    return fn;
  };
  // An answer that was under way when its function changed is put into a map that is no longer used.
  const entriesOf = (key: string): Entries => {
    let entries = functions.get(key);
    if (!entries) {
      if (functions.size >= MAX_FUNCTIONS) functions.delete(functions.keys().next().value ?? '');
      functions.set(key, (entries = new Map<string, Promise<FunctionMessage>>()));
    }
    return entries;
  };
  const empty = (): void => {
    isWatching = false;
    functions = new Map();
  };

  return {
    get isWatching() {
      return isWatching;
    },
    resolve(namespace, name, qualifier) {
      if (!isWatching) return ask(namespace, name, qualifier);
      const entries = entriesOf(`${namespace}/${name}`);
      const known = entries.get(qualifier);
      if (known) return known;
      const asked = ask(namespace, name, qualifier);
      entries.set(qualifier, asked);
      asked.catch(() => entries.delete(qualifier)); // refusals are not cached: the watch does not report functions that were unknown before
      return asked;
    },
    forget(namespace, name) {
      functions.delete(`${namespace}/${name}`);
    },
    run: (signal) =>
      superviseLoop(
        { name: 'watch functions', signal, onFailure: (error) => ports.log.warn('function watch broke', { error: String(error) }) },
        async () => {
          try {
            for await (const change of ports.registry.watchFunctions({}, { signal })) {
              if (change.namespace === '') isWatching = true;
              else functions.delete(`${change.namespace}/${change.name}`);
            }
          } finally {
            empty();
          }
          if (!signal.aborted) throw new Error('the registry ended the watch');
        },
      ),
  };
}
