export { type Running, type StartPart, startParts } from './start-parts.ts';
export { runMain, type MainOptions } from './run-main.ts';
export { superviseLoop, type LoopOptions } from './supervise-loop.ts';
export { checkAddress, type Address } from './check-address.ts';
