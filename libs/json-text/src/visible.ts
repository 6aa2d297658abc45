/**
 * What a terminal obeys or does not show: control characters (C0, DEL, C1), line and paragraph separators, marks of writing direction and other
 * characters without a shape of their own, halves of surrogate pairs. Not among them are joiners and selectors of a variant, without which some
 * scripts and emoji cannot be written, and format characters that have a shape.
 */
const UNSEEN =
  /[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]--[\u200c\u200d\ufe00-\ufe0f\u{e0100}-\u{e01ef}\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u{110bd}\u{110cd}]]/gv;
const UNSEEN_IN_LINES =
  /[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]--[\n\t\u200c\u200d\ufe00-\ufe0f\u{e0100}-\u{e01ef}\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u{110bd}\u{110cd}]]/gv;

/** Untrusted text for one line of a terminal: invisible characters are escaped as in JSON, `\u001b`. */
export function visible(text: string): string {
  return text.replace(UNSEEN, escaped);
}

/** The same for text that may have lines and tabs. JSON text stays the same JSON: only within its strings are there others of these characters. */
export function visibleLines(text: string): string {
  return text.replace(UNSEEN_IN_LINES, escaped);
}

function escaped(unseen: string): string {
  if (unseen === '\n') return '\\n';
  if (unseen === '\t') return '\\t';
  if (unseen === '\r') return '\\r';
  return Array.from({ length: unseen.length }, (_, i) => `\\u${unseen.charCodeAt(i).toString(16).padStart(4, '0')}`).join('');
}
