import { boundError, cutText, LIMITS } from '@evenfall/event-model';
import { failureJson, resultOf } from '../../domain/runtime-answer.ts';
import type { Conversation, ConversationEvents } from '../../ports.ts';

/** Codes with which a runtime may have an event fail: thrown, too large, no handler, code that does not load. Others become 430. */
const FAILURES: ReadonlySet<number> = new Set([430, 407, 437, 443]);
/** The same for a load. Others become 443. */
const LOAD_FAILURES: ReadonlySet<number> = new Set([437, 443]);

/**
 * Bounds what runtimes report: everything passes here before it is used. A function can write whatever it likes into every channel, so
 * results become JSON text without blanks or a JSON string, errors are bounded objects, and codes are of the list.
 */
export function boundedEvents(events: ConversationEvents, requestIdOf: (seq: number) => string): ConversationEvents {
  return {
    ...events,
    onAnswered(seq, body, tookMs) {
      const result = resultOf(body);
      if (typeof result !== 'string') {
        events.onAnswered(seq, result, tookMs);
        return;
      }
      const error = failureJson(requestIdOf(seq), 407, { message: result });
      events.onFailed(seq, { statusCode: 407, error, tookMs, mustExit: false });
    },
    onFailed(seq, failure) {
      const statusCode = FAILURES.has(failure.statusCode) ? failure.statusCode : 430;
      events.onFailed(seq, { ...failure, statusCode, error: boundError(failure.error) });
    },
    onLoadFailed({ statusCode, message, error }) {
      events.onLoadFailed({
        statusCode: LOAD_FAILURES.has(statusCode) ? statusCode : 443,
        message: cutText(message, LIMITS.errorTextBytes),
        ...(error ? { error: boundError(error) } : {}),
      });
    },
    onHookEnded: (seq, ok, text) => events.onHookEnded(seq, ok, cutText(text, LIMITS.errorTextBytes)),
    onBroken: (text) => events.onBroken(cutText(text, LIMITS.reasonBytes)),
  };
}

/** Opens a conversation whose events are bounded. */
export async function openBounded(
  events: ConversationEvents,
  open: (events: ConversationEvents) => Promise<Conversation> | Conversation,
): Promise<Conversation> {
  let last = { seq: 0, requestId: '' };
  const conversation = await open(boundedEvents(events, (seq) => (seq === last.seq ? last.requestId : '')));
  return {
    ...conversation,
    invoke(invocation) {
      last = invocation;
      return conversation.invoke(invocation);
    },
  };
}
