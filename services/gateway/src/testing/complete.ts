import { type Event, Event_State } from '@evenfall/contracts/v1/event';
import type { DeadLetter } from '@evenfall/contracts/v1/event_service';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { durationOfMs } from '@evenfall/time';

/** A function with everything that a call of it needs. */
export const RUNNABLE = FunctionMessage.create({
  namespace: 'default',
  name: 'killer',
  version: '$LATEST',
  revision: 3,
  runtime: 'python3',
  handler: 'index.main_handler',
  timeout: durationOfMs(3_000),
  initTimeout: durationOfMs(65_000),
  codeSha256: 'ab',
  createTime: new Date(0),
  updateTime: new Date(0),
});

/** A function with what the registry fills in. */
export function completeFunction(fn: FunctionMessage): FunctionMessage {
  const { timeout, initTimeout, createTime, updateTime } = RUNNABLE;
  return {
    ...fn,
    timeout: fn.timeout ?? timeout,
    initTimeout: fn.initTimeout ?? initTimeout,
    createTime: fn.createTime ?? createTime,
    updateTime: fn.updateTime ?? updateTime,
  };
}

const TIME = new Date(0);

/** An event with what the event-store always has of one. */
export function completeEvent(event: Event): Event {
  const { createTime = TIME, termination, state } = event;
  return {
    ...event,
    createTime,
    state: state || Event_State.QUEUED,
    termination: termination && {
      ...termination,
      requestTime: termination.requestTime ?? TIME,
      steps: termination.steps.map((step) => ({ ...step, sentTime: step.sentTime ?? TIME })),
    },
  };
}

export function completeLetter(letter: DeadLetter): DeadLetter {
  return { ...letter, event: letter.event && completeEvent(letter.event) };
}
