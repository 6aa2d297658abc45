export { addressKeyOf } from './address-key.ts';
export { type ByteBudget, createByteBudget } from './byte-budget.ts';
export { type ConnectionLimits, createConnectionLimits, type LimitedSocket } from './connection-limits.ts';
export { createGuessLimits, type GuessLimits } from './guess-limits.ts';
