import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { dirname } from 'node:path';
import type { RuntimeVariables } from '../../../ports.ts';
import { AGENT_MARKER, HOME_MARKER, INSTANCE_MARKER } from '../sweep/sweep.ts';

export type EnvironmentOf = {
  readonly fn: FunctionMessage;
  readonly instanceId: string;
  readonly agentId: string;
  /** Folder of the agent. */
  readonly home: string;
  readonly codeDir: string;
  readonly temporaryDir: string;
  readonly variables: RuntimeVariables;
};

/** The complete environment of a function's process: SCF's names, the function's own, the markers. Nothing of the agent's leaks into it. */
export function environmentOf(of: EnvironmentOf): Record<string, string> {
  const { fn, codeDir } = of;
  return {
    PATH: `/usr/local/bin:/usr/bin:/bin:${dirname(process.execPath)}`,
    HOME: of.temporaryDir,
    TMPDIR: of.temporaryDir,
    PWD: codeDir,
    SHELL: '/bin/sh',
    USER: 'evenfall',
    LOGNAME: 'evenfall',
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
    TENCENTCLOUD_RUNENV: 'SCF',
    TENCENTCLOUD_TZ: 'UTC',
    TENCENTCLOUD_REGION: 'local',
    TENCENTCLOUD_APPID: '0',
    TENCENTCLOUD_UIN: '0',
    USER_CODE_ROOT: `${codeDir}/`,
    SCF_RUNTIME: fn.runtime,
    SCF_NAMESPACE: fn.namespace,
    SCF_FUNCTIONNAME: fn.name,
    SCF_FUNCTIONVERSION: fn.version,
    PYTHONDONTWRITEBYTECODE: 'x',
    NODE_PATH: `${codeDir}:${codeDir}/node_modules`,
    ...of.variables.defaults,
    ...fn.environment,
    ...of.variables.fixed,
    [INSTANCE_MARKER]: of.instanceId,
    [AGENT_MARKER]: of.agentId,
    [HOME_MARKER]: of.home,
  };
}
