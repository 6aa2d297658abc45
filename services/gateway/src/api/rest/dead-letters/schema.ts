import { type Static, Type } from '@sinclair/typebox';
import { Event } from '../events/schema.ts';
import { named, ref } from '../json/schema.ts';

export const DeadLetter = named('DeadLetter', Type.Object({ event: ref(Event), payload: Type.Unknown() }));
export type DeadLetterBody = Static<typeof DeadLetter>;
export type DeadLetterPage = { readonly dead_letters: DeadLetterBody[]; readonly next_page_token: string };
