import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { fcFunctionHeaders } from '../../../domain/web-headers.ts';
import type { HookCall } from '../../../ports.ts';
import type { Dialect, Work } from './runtime-broker.ts';

/** Kinds of calls in FC's header (`fc/function.go` of fc-runtime-go-sdk). */
const FC_TYPES = { INVOKE: '0', INITIALIZER: '1', PRE_STOP: '2' } as const;

/** Headers of an answer to "next"; its body is the payload. */
export function nextHeaders(dialect: Dialect, fn: FunctionMessage, timeoutMs: number, { call, isHook }: Work): Record<string, string> {
  const { requestId, deadlineTimeMs } = call;
  const deadline = String(Math.floor(deadlineTimeMs));
  switch (dialect) {
    case 'AWS':
      return {
        'Content-Type': 'application/json',
        'Lambda-Runtime-Aws-Request-Id': requestId,
        'Lambda-Runtime-Deadline-Ms': deadline,
        'Lambda-Runtime-Invoked-Function-Arn': `arn:aws:lambda:local:000000000000:function:${fn.name}:${fn.version}`,
      };
    case 'SCF':
      return {
        'Content-Type': 'application/json',
        request_id: requestId,
        memory_limit_in_mb: String(fn.memoryMb),
        time_limit_in_ms: String(timeoutMs),
      };
    case 'FC':
      return {
        'Content-Type': 'application/json',
        ...fcFunctionHeaders(fn, requestId, timeoutMs),
        'x-fc-function-type': FC_TYPES[isHook ? (call as HookCall).kind : 'INVOKE'], // a hook's call is one
        'x-fc-function-deadline': deadline,
        'x-fc-retry-count': '0',
      };
  }
}

/** Variables by which the three kinds of clients find the API, and what they refuse to start without. */
export function runtimeVariables(fn: FunctionMessage, codeDir: string, secretSuffix: string, port: number) {
  const address = `127.0.0.1:${port}${secretSuffix}`;
  const memory = String(fn.memoryMb);
  return {
    defaults: {
      // Python would keep what is printed until it exits; and with this name its Lambda client waits in a thread, so that signal handlers run.
      PYTHONUNBUFFERED: '1',
      AWS_EXECUTION_ENV: 'AWS_Lambda_python3.12',
      AWS_REGION: 'local',
      AWS_DEFAULT_REGION: 'local',
    },
    fixed: {
      _HANDLER: fn.handler,
      SCF_RUNTIME_API: '127.0.0.1',
      SCF_RUNTIME_API_PORT: `${port}${secretSuffix}`,
      AWS_LAMBDA_RUNTIME_API: address,
      AWS_LAMBDA_FUNCTION_NAME: fn.name,
      AWS_LAMBDA_FUNCTION_VERSION: fn.version,
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: memory,
      AWS_LAMBDA_LOG_GROUP_NAME: `/evenfall/${fn.namespace}/${fn.name}`,
      AWS_LAMBDA_LOG_STREAM_NAME: fn.version,
      AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
      LAMBDA_TASK_ROOT: codeDir,
      LAMBDA_RUNTIME_DIR: codeDir,
      FC_RUNTIME_API: address,
      FC_FUNCTION_NAME: fn.name,
      FC_FUNCTION_HANDLER: fn.handler,
      FC_FUNCTION_MEMORY_SIZE: memory,
      FC_REGION: 'local',
      FC_ACCOUNT_ID: '0',
    },
  };
}
