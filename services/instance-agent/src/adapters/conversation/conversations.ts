import type { Conversations } from '../../ports.ts';
import { framesConversation } from './frames.ts';

/** Opens the conversation that a function's runtime understands. */
export function conversations(): Conversations {
  return {
    async open(spec, events) {
      return framesConversation(spec, events);
    },
  };
}
