import type { FunctionMessage } from '@evenfall/contracts/v1/function';

export type WebCall = {
  readonly requestId: string;
  readonly timeoutMs: number;
  /** FC's name for it: the path by which its servers distinguish calls from hooks. */
  readonly controlPath: string;
};

const REGION = 'local';
const ACCOUNT = '0';

/** Headers of a request to a web function: SCF's names and FC's. Values a header cannot carry have been refused where the function was made. */
export function webHeaders(fn: FunctionMessage, { requestId, timeoutMs, controlPath }: WebCall): Record<string, string> {
  return {
    'X-Scf-Request-Id': requestId,
    'X-Scf-Memory': String(fn.memoryMb),
    'X-Scf-Timeout': String(timeoutMs),
    'X-Scf-Version': fn.version,
    'X-Scf-Name': fn.name,
    'X-Scf-Namespace': fn.namespace,
    'X-Scf-Region': REGION,
    'X-Scf-Appid': ACCOUNT,
    'X-Scf-Uin': ACCOUNT,
    ...fcFunctionHeaders(fn, requestId, timeoutMs),
    'x-fc-control-path': controlPath,
  };
}

/** Headers that FC's web servers and FC's runtime API share. */
export function fcFunctionHeaders(fn: FunctionMessage, requestId: string, timeoutMs: number): Record<string, string> {
  return {
    'x-fc-request-id': requestId,
    'x-fc-function-name': fn.name,
    'x-fc-function-handler': fn.handler,
    'x-fc-function-memory': String(fn.memoryMb),
    'x-fc-function-timeout': String(Math.ceil(timeoutMs / 1000)),
    'x-fc-service-name': fn.namespace,
    'x-fc-qualifier': fn.version,
    'x-fc-version-id': fn.version,
    'x-fc-region': REGION,
    'x-fc-account-id': ACCOUNT,
  };
}
