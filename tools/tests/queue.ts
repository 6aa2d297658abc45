/** A test file and what is known of it. */
export type Task = {
  /** Path below the root of the repository. */
  readonly file: string;
  /** Seconds it took when that was recorded. */
  readonly seconds: number;
  /** Lanes it takes: 1 for a file that mostly waits, more for one that keeps the processors busy or needs them free. */
  readonly lanes: number;
};

/** What came of a file. */
export type Outcome = { readonly file: string; readonly seconds: number; readonly passed: boolean };

/** The order in which tasks begin: those that take the most first, so that none of them is left for the end. */
export function inOrder(tasks: readonly Task[]): readonly Task[] {
  return tasks.toSorted((a, b) => b.seconds * b.lanes - a.seconds * a.lanes || a.file.localeCompare(b.file));
}

/**
 * Runs every task, at most as many at a time as fit into the lanes, and returns how each went, in the order in which they ended. Whenever lanes
 * become free, the first task in order that fits begins. A task that takes all lanes, or more than there are, runs alone, after the others.
 */
export async function runQueue(tasks: readonly Task[], lanes: number, run: (task: Task) => Promise<Outcome>): Promise<readonly Outcome[]> {
  const waiting = [...inOrder(tasks)];
  const running = new Set<Promise<void>>();
  const outcomes: Outcome[] = [];
  const widthOf = (task: Task): number => Math.min(task.lanes, lanes);
  let free = lanes;
  while (waiting.length > 0 || running.size > 0) {
    const next = waiting.findIndex((task) => widthOf(task) <= free && (widthOf(task) < lanes || running.size === 0));
    const [task] = next < 0 ? [] : waiting.splice(next, 1);
    if (!task) {
      await Promise.race(running);
      continue;
    }
    free -= widthOf(task);
    const ended = run(task).then((outcome) => {
      outcomes.push(outcome);
      free += widthOf(task);
      running.delete(ended);
    });
    running.add(ended);
  }
  return outcomes;
}
