import { EventInvokeConfig, FunctionMessage } from '@evenfall/contracts/v1/function';
import { Type } from '@sinclair/typebox';
import { CODE_REQUEST_BYTES } from '../../domain/code-package.ts';
import { action, namespaceOf, type ScfCall } from './action.ts';
import { scfError } from './codes.ts';
import { functionAnswer, sharedParts } from './function-answers.ts';
import { NOTES, runsAsynchronously, runtimeOf, scfRuntimeOf } from './function-names.ts';
import {
  Code,
  CODE_BESIDE,
  CodeSource,
  codeZipFrom,
  NOT_HERE_AT_ALL,
  NOT_HERE_AT_CREATION,
  NOT_HERE_AT_UPDATE,
  SETTINGS,
  settingsFrom,
} from './function-settings.ts';
import { flagOf, OF_FUNCTION, Publish, STRICT, wordOf } from './parameters.ts';
import { refuseUnsupported } from './unsupported.ts';

/** The handler of SCF where none is named. */
const DEFAULT_HANDLER = 'index.main_handler';
const DEFAULT_HANDLERS: Readonly<Record<string, string>> = { go1: 'main', custom: '', web: '' };
const AsyncRunEnable = Type.Optional(flagOf('InvalidParameterValue.AsyncRunEnable'));
const TraceEnable = Type.Optional(flagOf('InvalidParameterValue.TraceEnable'));
const OPTIONAL_TEXT = Type.Optional(Type.String());

export const createFunction = action(
  Type.Object(
    {
      ...OF_FUNCTION,
      ...SETTINGS,
      ...NOT_HERE_AT_ALL,
      ...NOT_HERE_AT_CREATION,
      Code: Type.Optional(Code),
      CodeSource,
      Handler: OPTIONAL_TEXT,
      Runtime: OPTIONAL_TEXT,
      Type: Type.Optional(wordOf(['Event', 'HTTP'], 'InvalidParameterValue.FunctionType')),
      AsyncRunEnable,
      TraceEnable,
    },
    STRICT,
  ),
  async ({ functions, large }, input) => {
    refuseUnsupported(input, [...Object.keys(NOT_HERE_AT_ALL), ...Object.keys(NOT_HERE_AT_CREATION)]);
    if (!input.Code) throw scfError('MissingParameter.Code');
    if (input.Runtime === undefined) throw scfError('MissingParameter.Runtime', 'The default, Python2.7, is not offered here.');
    const runtime = runtimeOf(input.Runtime, input.Type === 'HTTP');
    const isAsync = input.AsyncRunEnable === 'TRUE';
    const annotations = {
      [NOTES.runtime]: input.Runtime,
      [NOTES.asyncRun]: input.AsyncRunEnable ?? 'FALSE',
      [NOTES.trace]: input.TraceEnable ?? 'FALSE',
    };
    await functions.createFunction({
      function: {
        ...FunctionMessage.create(),
        namespace: namespaceOf(input),
        name: input.FunctionName,
        runtime,
        handler: input.Handler ?? DEFAULT_HANDLERS[runtime] ?? DEFAULT_HANDLER,
        annotations,
        // An asynchronously running function is not tried again when it fails (SCF, asynchronous execution, notes).
        eventInvoke: isAsync ? EventInvokeConfig.create({ maxRetries: 0 }) : undefined,
        ...settingsFrom(input, isAsync),
      },
      codeZip: codeZipFrom(input.Code, input.CodeSource, large.has('Code.ZipFile') ? { bytes: large.get('Code.ZipFile') } : undefined),
    });
    return {};
  },
  { maxBodyBytes: CODE_REQUEST_BYTES, codes: { CODE_PACKAGE_TOO_LARGE: 'InvalidParameterValue.Code' } },
);

export const getFunction = action(
  Type.Object(
    {
      ...OF_FUNCTION,
      FunctionName: OPTIONAL_TEXT,
      Qualifier: OPTIONAL_TEXT,
      ShowCode: Type.Optional(flagOf('InvalidParameterValue')),
    },
    STRICT,
  ),
  async (call, input) => {
    const { FunctionName: name = '', Qualifier: qualifier = '' } = input;
    if (name === '') throw scfError('InvalidParameter.FunctionNameOrResourceIdRequired');
    return functionAnswer(await found(call, input, name, qualifier), qualifier || '$LATEST', call.zone);
  },
  { codes: { QUALIFIER_NOT_FOUND: 'ResourceNotFound.Version' } },
);

export const updateFunctionCode = action(
  Type.Object(
    {
      ...OF_FUNCTION,
      ...CODE_BESIDE,
      Code: Type.Optional(Code),
      CodeSource,
      Handler: OPTIONAL_TEXT,
      InstallDependency: OPTIONAL_TEXT,
      Publish,
    },
    STRICT,
  ),
  async (call, input) => {
    const { FunctionName: name, Code: code = {}, CodeSource: source, Handler: handler, ...beside } = input;
    refuseUnsupported(beside, ['CosBucketName', 'CosObjectName', 'CosBucketRegion', 'EnvId', 'InstallDependency']);
    const apart = ['Code.ZipFile', 'ZipFile'].find((one) => call.large.has(one));
    const codeZip = codeZipFrom(
      { ...(beside.ZipFile === undefined ? {} : { ZipFile: beside.ZipFile }), ...code },
      source,
      apart === undefined ? undefined : { bytes: call.large.get(apart) },
    );
    const namespace = namespaceOf(input);
    const current = await found(call, input, name);
    const renamed = handler !== undefined && handler !== current.handler;
    const rename = (to: string) =>
      call.functions.updateFunction({ function: { ...FunctionMessage.create(), namespace, name, handler: to }, updateMask: ['handler'] });
    if (renamed) await rename(handler); // first: it is the code that is checked against the handler
    try {
      await call.functions.updateFunctionCode({ namespace, name, codeZip });
    } catch (error) {
      if (renamed) await rename(current.handler);
      throw error;
    }
    await publishIf(input.Publish, call, namespace, name);
    return {};
  },
  { maxBodyBytes: CODE_REQUEST_BYTES },
);

export const updateFunctionConfiguration = action(
  Type.Object(
    { ...OF_FUNCTION, ...SETTINGS, ...NOT_HERE_AT_ALL, ...NOT_HERE_AT_UPDATE, Runtime: OPTIONAL_TEXT, TraceEnable, Publish },
    STRICT,
  ),
  async (call, input) => {
    refuseUnsupported(input, [...Object.keys(NOT_HERE_AT_ALL), ...Object.keys(NOT_HERE_AT_UPDATE)]);
    const namespace = namespaceOf(input);
    const name = input.FunctionName;
    const current = await found(call, input, name);
    if (input.Runtime !== undefined && input.Runtime !== scfRuntimeOf(current)) {
      throw scfError('InvalidParameterValue.Runtime', 'The runtime of a function cannot be changed.');
    }
    const changes: Partial<FunctionMessage> = {
      ...settingsFrom(input, runsAsynchronously(current)),
      ...(input.TraceEnable === undefined ? {} : { annotations: { ...current.annotations, [NOTES.trace]: input.TraceEnable } }),
    };
    const updateMask = Object.keys(changes).map((key) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
    if (updateMask.length > 0) {
      await call.functions.updateFunction({ function: { ...FunctionMessage.create(), namespace, name, ...changes }, updateMask });
    }
    await publishIf(input.Publish, call, namespace, name);
    return {};
  },
);

export const deleteFunction = action(Type.Object({ ...OF_FUNCTION, Qualifier: OPTIONAL_TEXT }, STRICT), async ({ functions }, input) => {
  if ((input.Qualifier ?? '') !== '')
    throw scfError('UnsupportedOperation', 'One version cannot be deleted alone; without a Qualifier all are.');
  await functions.deleteFunction({ namespace: namespaceOf(input), name: input.FunctionName });
  return {};
});

export const publishVersion = action(
  Type.Object({ ...OF_FUNCTION, Description: OPTIONAL_TEXT }, STRICT),
  async ({ functions }, input) => {
    const { function: fn = FunctionMessage.create() } = await functions.publishFunctionVersion({
      namespace: namespaceOf(input),
      name: input.FunctionName,
      description: input.Description ?? '',
    });
    const { FunctionVersion, CodeSize, MemorySize, Description, Handler, Timeout, Runtime, Namespace } = sharedParts(fn);
    return { FunctionVersion, CodeSize, MemorySize, Description, Handler, Timeout, Runtime, Namespace };
  },
  { codes: { FUNCTION_HAS_NO_CODE: 'FailedOperation.PublishVersion' } },
);

/** The function a call names. */
export async function found(call: ScfCall, input: { readonly Namespace?: string }, name: string, qualifier = ''): Promise<FunctionMessage> {
  const { function: fn } = await call.functions.getFunction({ namespace: namespaceOf(input), name, qualifier });
  if (!fn) throw scfError('ResourceNotFound.Function');
  return fn;
}

async function publishIf(publish: 'TRUE' | 'FALSE' | undefined, { functions }: ScfCall, namespace: string, name: string): Promise<void> {
  if (publish === 'TRUE') await functions.publishFunctionVersion({ namespace, name, description: '' });
}
