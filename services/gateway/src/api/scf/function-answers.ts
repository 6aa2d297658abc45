import type { GetConcurrencyResponse } from '@evenfall/contracts/registry/v1/registry_service';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { functionIdOf, NOTES, runsAsynchronously, scfRuntimeOf, secondsOf, statusOf } from './function-names.ts';
import type { Zone } from './zone.ts';

/** The fields of a function that every answer has. */
export function sharedParts(fn: FunctionMessage) {
  return {
    FunctionName: fn.name,
    FunctionVersion: fn.version,
    Namespace: fn.namespace,
    Description: fn.description,
    Runtime: scfRuntimeOf(fn),
    Handler: fn.handler,
    Timeout: secondsOf(fn.timeout),
    MemorySize: fn.memoryMb,
    CodeSize: Number(fn.codeSizeBytes),
  };
}

/** A function in a list. */
export function functionItem(fn: FunctionMessage, zone: Zone, { reservations, provisions }: GetConcurrencyResponse) {
  const isOf = (one: { readonly namespace: string; readonly name: string } | undefined): boolean =>
    one?.namespace === fn.namespace && one.name === fn.name;
  return {
    ...describedParts(fn, zone),
    TotalProvisionedConcurrencyMem: provisions
      .filter((one) => isOf(one.function))
      .reduce((sum, one) => sum + one.instances * (one.function?.memoryMb ?? 0), 0),
    ReservedConcurrencyMem: reservations.find(isOf)?.memoryMb ?? null,
  };
}

/** The fields of a function in lists, which filters compare. */
export function describedParts(fn: FunctionMessage, zone: Zone) {
  const { FunctionName, Namespace, Description, Runtime } = sharedParts(fn);
  return {
    FunctionName,
    FunctionId: functionIdOf(fn),
    Namespace,
    Description,
    Runtime,
    Type: fn.runtime === 'web' ? 'HTTP' : 'Event',
    Status: statusOf(fn),
    StatusDesc: '',
    StatusReasons: [],
    Tags: [],
    AddTime: zone.seconds(fn.createTime),
    ModTime: zone.seconds(fn.updateTime),
    AsyncRunEnable: runsAsynchronously(fn) ? 'TRUE' : 'FALSE',
    TraceEnable: fn.annotations[NOTES.trace] ?? 'FALSE',
  };
}

/** GetFunction's answer. Fields that this platform has nothing for are as SCF shows them where they are not used. */
export function functionAnswer(fn: FunctionMessage, qualifier: string, zone: Zone): Record<string, unknown> {
  return {
    ...describedParts(fn, zone),
    ...sharedParts(fn),
    Qualifier: qualifier,
    InitTimeout: secondsOf(fn.initTimeout),
    Environment: { Variables: Object.entries(fn.environment).map(([Key, Value]) => ({ Key, Value })) },
    CodeInfo: '',
    CodeResult: fn.codeSha256 === '' ? '' : 'success',
    CodeError: '',
    ErrNo: 0,
    AvailableStatus: 'Available',
    Triggers: [],
    VpcConfig: { VpcId: '', SubnetId: '' },
    UseGpu: 'FALSE',
    Role: '',
    InstallDependency: 'FALSE',
    ClsLogsetId: '',
    ClsTopicId: '',
    EipConfig: { EipFixed: 'FALSE', Eips: [] },
    AccessInfo: { Host: '', Vip: '' },
    L5Enable: 'FALSE',
    Layers: [],
    DeadLetterConfig: { Type: '', Name: '', FilterType: '' },
    PublicNetConfig: { PublicNetStatus: 'ENABLE', EipConfig: { EipStatus: 'DISABLE', EipAddress: [] } },
    OnsEnable: 'FALSE',
    CfsConfig: { CfsInsList: [] },
    ImageConfig: null,
    ProtocolType: '',
    ProtocolParams: null,
    InstanceConcurrencyConfig: null,
    DnsCache: 'FALSE',
    IntranetConfig: null,
  };
}
