import type { Reason, RefusalMetadata } from '@evenfall/errors';

export type Question = { readonly task: string; readonly args: unknown };
export type Answer =
  | { readonly value: unknown }
  | { readonly refusal: { readonly reason: Reason; readonly metadata: RefusalMetadata } }
  | { readonly fault: string };
