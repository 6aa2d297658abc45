import type { FunctionMessage } from '@evenfall/contracts/v1/function';

/** The part of the context that is the same for every event of an instance; `environment` is JSON text and `environ` is `k=v;k=v`, as in SCF. */
export function staticContextOf(fn: FunctionMessage, timeoutMs: number): Readonly<Record<string, string | number>> {
  const environment = { ...fn.environment, SCF_NAMESPACE: fn.namespace };
  return {
    memory_limit_in_mb: fn.memoryMb,
    time_limit_in_ms: timeoutMs,
    request_id: '',
    environment: JSON.stringify(environment),
    environ: Object.entries(environment)
      .map(([key, value]) => `${key}=${value}`)
      .join(';'),
    function_version: fn.version,
    function_name: fn.name,
    namespace: fn.namespace,
    tencentcloud_region: 'local',
    tencentcloud_appid: '0',
    tencentcloud_uin: '0',
  };
}
