export { startInOrder, type Part, type Running } from './start-in-order.ts';
export { runMain, type MainOptions } from './run-main.ts';
export { superviseLoop, type LoopOptions } from './supervise-loop.ts';
export { checkAddress, type Address } from './check-address.ts';
