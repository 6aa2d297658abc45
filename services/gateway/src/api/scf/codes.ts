/** The sentence of SCF for each code, as its public SDKs document it (TencentCloud/tencentcloud-sdk-go-intl-en, scf/v20180416/errors.go). */
const TEXTS = {
  // Of the API gateway before every Tencent Cloud service
  'AuthFailure.InvalidAuthorization': 'The `Authorization` header does not meet the Tencent Cloud signature standard.',
  'AuthFailure.SecretIdNotFound': 'The SecretId is not found, please ensure that your SecretId is correct.',
  'AuthFailure.SignatureExpire': 'Timestamp and server time cannot differ by more than five minutes.',
  'AuthFailure.SignatureFailure': 'The provided credentials could not be validated. Please check your signature is correct.',
  'AuthFailure.TokenFailure': 'Token error: temporary credentials are not known here.',
  InvalidAction: 'The specified `Action` does not exist.',
  InvalidRequest: 'The request is not valid.',
  MissingParameter: 'Missing parameter.',
  NoSuchVersion: 'The specified `Version` does not exist.',
  RequestLimitExceeded: 'The number of requests exceeds the frequency limit.',
  RequestSizeLimitExceeded: 'The request packet exceeds the limit size.',
  UnauthorizedOperation: 'The key is not authorized to perform this operation.',
  UnknownParameter: 'Unknown parameter.',
  UnsupportedProtocol: 'The HTTP(S) request protocol is not supported.',
  // Of SCF
  'FailedOperation.AsyncEventStatus': 'This operation is not supported by the current async event status. Please try again later.',
  'FailedOperation.DeleteNamespace': 'The default namespace cannot be deleted.',
  'FailedOperation.FunctionStatusError': 'Operation failed. The function is deploying.',
  'FailedOperation.ProvisionedExceedAvailable': 'The provisioned concurrency exceeds what is available.',
  'FailedOperation.ProvisionedExceedReserved': 'The provisioned concurrency exceeds the reserved concurrency.',
  'FailedOperation.PublishVersion':
    'You cannot publish a version in the current function state. Please try again when the state is normal.',
  InternalError: 'Internal error.',
  'InternalError.System': 'Internal system error.',
  InvalidParameter: 'Invalid parameter.',
  'InvalidParameter.FunctionName': 'The value of `FunctionName` does not conform to the specification. Please fix it and try again.',
  'InvalidParameter.FunctionNameOrResourceIdRequired': 'The function name or the resource id is required.',
  'InvalidParameter.Payload': 'Invalid request parameter.',
  'InvalidParameter.RequestTooLarge': 'Request size exceeds the limit.',
  InvalidParameterValue: 'Incorrect parameter value.',
  'InvalidParameterValue.AsyncRunEnable': 'The value of `AsyncRunEnable` is incorrect.',
  'InvalidParameterValue.AsyncTriggerConfig': 'The parameter for async retry configuration of the function is invalid.',
  'InvalidParameterValue.ClientContext': 'Function running parameter error.',
  'InvalidParameterValue.Code': 'Code error.',
  'InvalidParameterValue.CodeSource': 'CodeSource error.',
  'InvalidParameterValue.DateTime': 'DateTime error.',
  'InvalidParameterValue.Description': 'Description error.',
  'InvalidParameterValue.Environment': 'Environment error.',
  'InvalidParameterValue.EnvironmentExceededLimit': 'The environment variables exceed the limit.',
  'InvalidParameterValue.EnvironmentSystemProtect': 'The environment variable is protected by the system.',
  'InvalidParameterValue.Filters': 'Filters parameter error.',
  'InvalidParameterValue.FunctionName': 'The value of `FunctionName` does not conform to the specification.',
  'InvalidParameterValue.FunctionType': 'FunctionType error.',
  'InvalidParameterValue.Handler': 'Handler error.',
  'InvalidParameterValue.InvokeType': 'The `InvokeType` value does not conform to the specification. Please fix it and try again.',
  'InvalidParameterValue.Limit': 'Limit error.',
  'InvalidParameterValue.LimitExceeded': 'The parameter exceeds the length limit.',
  'InvalidParameterValue.MemorySize': 'MemorySize error.',
  'InvalidParameterValue.Namespace': 'Namespace error.',
  'InvalidParameterValue.Offset': 'Invalid offset.',
  'InvalidParameterValue.Order': 'Order error.',
  'InvalidParameterValue.OrderBy': 'The value of `OrderBy` does not conform to the specification. Please fix it and try again.',
  'InvalidParameterValue.Param': 'The input parameter is not in the standard JSON format.',
  'InvalidParameterValue.ProvisionType': 'ProvisionedType error.',
  'InvalidParameterValue.Qualifier': 'Unsupported function version.',
  'InvalidParameterValue.RetCode': 'Invalid RetCode.',
  'InvalidParameterValue.Runtime': 'Runtime error.',
  'InvalidParameterValue.StartTimeOrEndTime': 'You need to specify both the start time and the end time.',
  'InvalidParameterValue.Status': 'The `Status` value does not conform to the specification. Please fix it and try again.',
  'InvalidParameterValue.TraceEnable': 'The value of `TraceEnable` does not conform to the specification. Please fix it and try again.',
  'InvalidParameterValue.ZipFile': 'A non-standard zip file was detected. Please recompress and try again.',
  'InvalidParameterValue.ZipFileBase64BinasciiError': 'Failed to Base64-decode the compressed file. Please fix it and try again.',
  'LimitExceeded.Function': 'The number of functions exceeds the limit.',
  'LimitExceeded.FunctionReservedConcurrencyMemory': 'The reserved concurrency memory exceeds the upper limit.',
  'LimitExceeded.FunctionTotalProvisionedConcurrencyNum': 'The number of provisioned instances exceeds the limit.',
  'LimitExceeded.FunctionVersions': 'The number of function versions exceeds the limit.',
  'LimitExceeded.InitTimeout': 'InitTimeout exceeds the upper limit.',
  'LimitExceeded.Memory': 'The memory exceeds the upper limit.',
  'LimitExceeded.MsgTTL': 'The message retention period in the async retry configuration of the function exceeds the limit.',
  'LimitExceeded.Offset': 'Offset exceeds the upper limit.',
  'LimitExceeded.Quota': 'The quota limit is exceeded.',
  'LimitExceeded.RetryNum': 'The number of retry attempts in the async retry configuration of the function exceeds the limit.',
  'LimitExceeded.Timeout': 'Timeout exceeds the upper limit.',
  'MissingParameter.Code': 'The request is missing a required parameter `Code`.',
  'MissingParameter.Runtime': 'The request is missing a required parameter `Runtime`.',
  'ResourceInUse.FunctionName': 'This FunctionName already exists.',
  'ResourceNotFound.AsyncEvent': 'The specified `AsyncEvent` was not found. Please create it and try again.',
  'ResourceNotFound.Function': 'The function does not exist.',
  'ResourceNotFound.FunctionVersion': 'The function version does not exist.',
  'ResourceNotFound.Qualifier': 'The version does not exist.',
  'ResourceNotFound.Version': 'The version does not exist.',
  UnsupportedOperation: 'Unsupported operation.',
} as const satisfies Record<string, string>;

/** A code that this API answers with. */
export type ScfCode = keyof typeof TEXTS;

/** A request that is answered with an error of SCF's. It carries no stack: it is an answer, not a failure of the program. */
export class ScfError extends Error {
  readonly code: ScfCode;

  constructor(code: ScfCode, message: string) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = limit;
    this.name = 'ScfError';
    this.code = code;
  }
}

/** Makes an error: the sentence of SCF for the code, and after it what helps to correct the request. */
export function scfError(code: ScfCode, detail?: string): ScfError {
  return new ScfError(code, detail === undefined ? TEXTS[code] : `${TEXTS[code]} ${detail}`);
}

/** The error for a parameter that is missing (the sentence as the real gateway writes it). */
export function missing(parameter: string): ScfError {
  return new ScfError('MissingParameter', `The request is missing a required parameter \`${parameter}\`.`);
}

/** The error for an unknown parameter. */
export function unknownParameter(parameter: string): ScfError {
  return new ScfError('UnknownParameter', `The parameter \`${parameter.slice(0, 120)}\` is not recognized.`);
}

/** The error for a parameter of another type. */
export function wrongType(parameter: string): ScfError {
  return new ScfError('InvalidParameter', `The value type of parameter \`${parameter.slice(0, 120)}\` is not valid.`);
}
