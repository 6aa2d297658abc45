/** The data of a fold cannot be written, now or later: one of its records is at fault. */
export class FoldRefused extends Error {
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = 'FoldRefused';
  }
}
