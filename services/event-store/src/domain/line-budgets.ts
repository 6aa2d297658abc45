import { LIMITS } from '@evenfall/event-model';

/**
 * What is stored of one attempt, in lines and in characters of their texts: twice what an agent lets a function write. The other half is for the lines of the
 * platform's own, of which those of a synchronous call have its result, and for a line that is there twice.
 */
export const MOST_LINES_OF_ATTEMPT: number = 2 * LIMITS.attemptLogLines;
export const MOST_TEXT_OF_ATTEMPT: number = 2 * LIMITS.attemptLogBytes;

/** Attempts that are remembered; the one that wrote nothing for longest is forgotten first. */
const MOST_ATTEMPTS = 50_000;

/** Which attempt lines are of. */
export type LinesOf = { readonly eventId: string; readonly attempt: number };
export type Used = { readonly lines: number; readonly text: number };

/**
 * Counts what is stored of each attempt. An agent is trusted with the attempts that it was given, not with how much it stores of them: it could send lines
 * without end, also with one number again and again, each with another time.
 */
export type LineBudgets = {
  /** Whether nothing is known of the attempt. */
  isUnknown(of: LinesOf): boolean;
  /** Sets what is stored already of an attempt that is not known. */
  set(of: LinesOf, used: Used): void;
  /** Counts one line in; whether there was room for it. */
  reserve(of: LinesOf, text: number): boolean;
  /** Counts lines out that were not stored after all: they were there already, or storing failed. */
  release(of: LinesOf, used: Used): void;
};

export function createLineBudgets(mostAttempts = MOST_ATTEMPTS): LineBudgets {
  const attempts = new Map<string, { lines: number; text: number }>();
  const nameOf = ({ eventId, attempt }: LinesOf): string => `${eventId.toLowerCase()}/${attempt}`;
  const remember = (name: string, used: Used): { lines: number; text: number } => {
    const entry = attempts.get(name) ?? { ...used };
    attempts.delete(name);
    if (attempts.size >= mostAttempts) attempts.delete(attempts.keys().next().value ?? '');
    attempts.set(name, entry);
    return entry;
  };
  return {
    isUnknown: (of) => !attempts.has(nameOf(of)),
    set(of, used) {
      if (!attempts.has(nameOf(of))) remember(nameOf(of), used);
    },
    reserve(of, text) {
      const entry = remember(nameOf(of), { lines: 0, text: 0 });
      if (entry.lines >= MOST_LINES_OF_ATTEMPT || entry.text + text > MOST_TEXT_OF_ATTEMPT) return false;
      entry.lines++;
      entry.text += text;
      return true;
    },
    release(of, { lines, text }) {
      const entry = attempts.get(nameOf(of));
      if (!entry) return;
      entry.lines = Math.max(0, entry.lines - lines);
      entry.text = Math.max(0, entry.text - text);
    },
  };
}
