/** Bytes that all holders have together. */
export type ByteBudget = {
  /** Takes so many more; false if there are not as many. */
  reserve(bytes: number): boolean;
  release(bytes: number): void;
  readonly reserved: number;
};

export function createByteBudget(most: number): ByteBudget {
  let reserved = 0;
  return {
    reserve(bytes) {
      if (reserved + bytes > most) return false;
      reserved += bytes;
      return true;
    },
    release(bytes) {
      reserved = Math.max(0, reserved - bytes);
    },
    get reserved() {
      return reserved;
    },
  };
}
