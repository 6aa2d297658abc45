import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { durationOfMs } from '@evenfall/time';
import { type Static, type TObject, Type } from '@sinclair/typebox';
import { bytesOfBase64 } from '../../domain/code-package.ts';
import { scfError } from './codes.ts';
import { STRICT, Unsupported, wordOf } from './parameters.ts';
import { refuseUnsupported } from './unsupported.ts';

const SYSTEM_VARIABLE = /^(SCF_|QCLOUD_|TENCENTCLOUD_)/i;
const NONE = Buffer.alloc(0);

const Variable = Type.Object({ Key: Type.Optional(Type.String()), Value: Type.Optional(Type.String()) }, STRICT);

/** Settings that can be given when a function is created, and changed later. */
export const SETTINGS = {
  Description: Type.Optional(Type.String()),
  MemorySize: Type.Optional(Type.Integer()),
  Timeout: Type.Optional(Type.Integer()),
  InitTimeout: Type.Optional(Type.Integer()),
  Environment: Type.Optional(Type.Object({ Variables: Type.Optional(Type.Array(Variable)) }, STRICT)),
};
export type Settings = Static<TObject<typeof SETTINGS>>;

/** Parameters of both that ask for what is not here. */
const NOT_HERE = [
  'VpcConfig',
  'Role',
  'InstallDependency',
  'ClsLogsetId',
  'ClsTopicId',
  'Layers',
  'DeadLetterConfig',
  'PublicNetConfig',
  'CfsConfig',
  'ProtocolParams',
  'InstanceConcurrencyConfig',
  'DnsCache',
  'IntranetConfig',
] as const;
export const NOT_HERE_AT_ALL = unsupported(NOT_HERE);
export const NOT_HERE_AT_CREATION = unsupported(['Tags', 'AutoDeployClsTopicIndex', 'AutoCreateClsTopic', 'ProtocolType']);
export const NOT_HERE_AT_UPDATE = unsupported(['L5Enable', 'IgnoreSysLog']);

function unsupported<const N extends string>(names: readonly N[]): Record<N, typeof Unsupported> {
  return Object.fromEntries(names.map((name) => [name, Unsupported])) as Record<N, typeof Unsupported>; // one for each name
}

/** Reads settings; only those that are given are in the answer. `isAsync` functions may run for a day. */
export function settingsFrom(input: Settings, isAsync: boolean): Partial<FunctionMessage> {
  const { Description: description, MemorySize: memory, Timeout: timeout, InitTimeout: initTimeout, Environment: environment } = input;
  if (memory !== undefined) checkMemory(memory);
  const maxTimeout = isAsync ? 86_400 : 900;
  if (timeout !== undefined && (timeout < 1 || timeout > maxTimeout)) {
    throw scfError('LimitExceeded.Timeout', `It is 1 to ${maxTimeout} seconds${isAsync ? '' : '; up to 86400 with AsyncRunEnable'}.`);
  }
  if (initTimeout !== undefined && (initTimeout < 3 || initTimeout > 300))
    throw scfError('LimitExceeded.InitTimeout', 'It is 3 to 300 seconds.');
  return {
    ...(description === undefined ? {} : { description }),
    ...(memory === undefined ? {} : { memoryMb: memory }),
    ...(timeout === undefined ? {} : { timeout: durationOfMs(timeout * 1_000) }),
    ...(initTimeout === undefined ? {} : { initTimeout: durationOfMs(initTimeout * 1_000) }),
    ...(environment === undefined ? {} : { environment: environmentFrom(environment) }),
  };
}

function checkMemory(mb: number): void {
  if (mb > 131_072) throw scfError('LimitExceeded.Memory', 'It is at most 131072 MB.');
  if (mb !== 64 && (mb < 128 || mb % 128 !== 0))
    throw scfError('InvalidParameterValue.MemorySize', 'It is 64, or 128 and more in steps of 128 MB.');
}

function environmentFrom({ Variables: variables = [] }: NonNullable<Settings['Environment']>): Record<string, string> {
  const environment = new Map<string, string>();
  for (const { Key: key = '', Value: value = '' } of variables) {
    if (SYSTEM_VARIABLE.test(key)) throw scfError('InvalidParameterValue.EnvironmentSystemProtect');
    if (environment.has(key)) throw scfError('InvalidParameterValue.Environment', 'A variable is named twice.');
    environment.set(key, value);
  }
  return Object.fromEntries(environment);
}

const TEXT = Type.Optional(Type.String());
const ELSEWHERE = {
  CosBucketName: TEXT,
  CosObjectName: TEXT,
  CosBucketRegion: TEXT,
};
/** Where code comes from. Only that in the request itself can be had. */
export const Code = Type.Object(
  {
    ZipFile: TEXT,
    ...ELSEWHERE,
    DemoId: TEXT,
    TempCosObjectName: TEXT,
    ...unsupported([
      'GitUrl',
      'GitUserName',
      'GitPassword',
      'GitPasswordSecret',
      'GitBranch',
      'GitDirectory',
      'GitCommitId',
      'GitUserNameSecret',
    ]),
    ImageConfig: Unsupported,
  },
  STRICT,
);
/** The same in the older form, beside other parameters. */
export const CODE_BESIDE = { ZipFile: TEXT, ...ELSEWHERE, EnvId: Unsupported };
export const CodeSource = Type.Optional(wordOf(['ZipFile', 'Cos', 'Demo', 'Inline'], 'InvalidParameterValue.CodeSource'));

/** Reads the code package; throws if there is none, or if it is somewhere else. */
export function codeZipFrom(
  code: Static<typeof Code>,
  source: Static<typeof CodeSource> | undefined,
  /** The package, where it was decoded already. */
  apart?: { readonly bytes: Buffer | undefined },
): Buffer {
  const { ZipFile: zip = '', ...elsewhere } = code;
  refuseUnsupported(elsewhere, Object.keys(elsewhere));
  if (source !== undefined && source !== 'ZipFile')
    throw scfError('UnsupportedOperation', `Code from ${source} is not supported here; send a ZipFile.`);
  if (zip === '' && !apart) throw scfError('InvalidParameterValue.Code', 'It has a `ZipFile`: a zip file in Base64.');
  const bytes = (apart ? apart.bytes : bytesOfBase64(zip)) ?? NONE;
  if (bytes.length === 0) throw scfError('InvalidParameterValue.ZipFileBase64BinasciiError');
  return bytes;
}
