import type { Conversations } from '../../ports.ts';
import { openBounded } from './bounded.ts';
import { framesConversation } from './frames.ts';
import { gobRpcConversation } from './gob-rpc.ts';
import { runtimeApiConversation } from './runtime-api/conversation.ts';
import { webConversation } from './web.ts';

/** Opens the conversation that a function's runtime understands. An unknown runtime is refused where its process is started. */
export function conversations(): Conversations {
  return {
    open: (spec, listener) =>
      openBounded(listener, (events) => {
        switch (spec.fn.runtime) {
          case 'custom':
            return runtimeApiConversation(spec, events);
          case 'go1':
            return gobRpcConversation(spec, events);
          case 'web':
            return webConversation(spec, events);
          default:
            return framesConversation(spec, events);
        }
      }),
  };
}
