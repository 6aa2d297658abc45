import type { ServerResponse } from 'node:http';
import type { HookCall, Invocation } from '../../../ports.ts';

export type Dialect = 'AWS' | 'SCF' | 'FC';

/** A call that waits to be fetched, or was and is not answered yet. */
export type Work = { readonly call: Invocation | HookCall; readonly isHook: boolean; fetched: boolean };

/** A request for the next call, held open until there is one. */
export type Fetcher = { readonly dialect: Dialect; readonly response: ServerResponse };

/** Requests for the next call that may be held at the same time: FC's client requests the next one while it works on this one. */
const MAX_HELD = 16;

/** Matches calls with the requests of a runtime for them. An instance has one call at a time; the id of the last one is kept to distinguish a repeated answer from a wrong one. */
export type RuntimeBroker = {
  /** Receives a request for the next call: it is served, held, or refused. */
  fetch(fetcher: Fetcher): 'SERVED' | 'HELD' | 'REFUSED';
  /** Offers a call: a request that is held is served with it. */
  put(work: Work): void;
  /** The call that an answer is for; 'UNKNOWN' for a wrong id, 'DONE' for one that was answered or not fetched. SCF names none. */
  answered(requestId: string | undefined): Work | 'UNKNOWN' | 'DONE';
  /** Whether a request for the next call is held. */
  isWaiting(): boolean;
  /** Whether a request is held that can be answered with a hook. */
  canReceiveHook(): boolean;
};

/** `serve` answers a fetcher with the work, and marks it as fetched. */
export function createRuntimeBroker(serve: (work: Work, fetcher: Fetcher) => void): RuntimeBroker {
  let held: Fetcher[] = [];
  let work: Work | undefined;
  let lastId = '';
  const suits = ({ dialect }: Fetcher): boolean => work !== undefined && !work.fetched && (!work.isHook || dialect === 'FC');
  const hand = (fetcher: Fetcher): void => {
    if (!work) return;
    serve(work, fetcher);
  };
  return {
    fetch(fetcher) {
      if (suits(fetcher)) {
        hand(fetcher);
        return 'SERVED';
      }
      if (work?.fetched && fetcher.dialect === 'SCF') {
        hand(fetcher); // SCF: a repeated request within one call gets the same event
        return 'SERVED';
      }
      // Lambda: a runtime has one request at a time, and none while it runs something.
      if (fetcher.dialect === 'AWS' && (work?.fetched || held.some(({ dialect }) => dialect === 'AWS'))) return 'REFUSED';
      if (held.length >= MAX_HELD) return 'REFUSED';
      held.push(fetcher);
      fetcher.response.once('close', () => (held = held.filter((each) => each !== fetcher)));
      return 'HELD';
    },
    put(next) {
      work = next;
      const fetcher = held.find(suits);
      if (!fetcher) return;
      held = held.filter((each) => each !== fetcher);
      hand(fetcher);
    },
    answered(requestId) {
      if (requestId !== undefined && requestId !== (work?.call.requestId ?? lastId)) return 'UNKNOWN';
      if (!work?.fetched) return 'DONE';
      const done = work;
      work = undefined;
      lastId = done.call.requestId;
      return done;
    },
    isWaiting: () => held.length > 0,
    canReceiveHook: () => held.some(({ dialect }) => dialect === 'FC'),
  };
}
