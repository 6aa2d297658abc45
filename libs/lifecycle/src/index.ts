export { startInOrder, startParts, type Part, type Running, type StartPart } from './start-in-order.ts';
export { runMain, type MainOptions } from './run-main.ts';
export { superviseLoop, type LoopOptions } from './supervise-loop.ts';
export { checkAddress, type Address } from './check-address.ts';
