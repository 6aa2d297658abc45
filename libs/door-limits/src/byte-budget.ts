/** Bytes that all holders have together. */
export type ByteBudget = {
  /** Takes so many more; false if there are not as many. */
  take(bytes: number): boolean;
  give(bytes: number): void;
  readonly taken: number;
};

export function createByteBudget(most: number): ByteBudget {
  let taken = 0;
  return {
    take(bytes) {
      if (taken + bytes > most) return false;
      taken += bytes;
      return true;
    },
    give(bytes) {
      taken = Math.max(0, taken - bytes);
    },
    get taken() {
      return taken;
    },
  };
}
