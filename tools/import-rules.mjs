// Who may import whom. The rooms are explained in ARCHITECTURE.md; this file is what makes them true.
// Every rule is fired once by tools/import-rules.test.ts.
const TEST = ['\\.test\\.ts$', '\\.contract\\.ts$', '/testing/', '^test/'];
const SERVICE = '^services/([^/]+)/src/';
const PURE = [
  'errors',
  'time',
  'event-model',
  'function-model',
  'contracts',
  'json-text',
  'paging',
  'request-guard',
  'api-limits',
  'peer-identity',
  'access',
  'grants',
];

/** Files of one room may reach only the named rooms of their own service, and the named libs. */
const room = (name, from, rooms, libs) => ({
  name: `room-${name}`,
  severity: 'error',
  from: { path: `${SERVICE}${from}`, pathNot: [...TEST, '^services/all-in-one/'] },
  to: {
    path: '^(services|libs)/',
    pathNot: [...rooms.map((one) => `^services/$1/src/${one}`), ...libs.map((one) => `^libs/${one}/`)],
  },
});

/** Only the owners may reach for a package. */
const owned = (name, packagePath, owners) => ({
  name: `owner-of-${name}`,
  severity: 'error',
  from: { pathNot: [...owners, ...TEST, '^tools/', '^bench/'] },
  to: { path: packagePath },
});

const PORTS = 'ports\\.ts$';

export default {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'services-meet-in-proto',
      severity: 'error',
      from: { path: '^services/(?!all-in-one/)([^/]+)/' },
      to: { path: '^services/', pathNot: '^services/$1/' },
    },
    { name: 'libs-know-no-service', severity: 'error', from: { path: '^libs/' }, to: { path: '^(services|tools)/' } },
    room('domain', 'domain/', ['domain/'], [...PURE, 'event-log']),
    {
      name: 'domain-is-pure',
      severity: 'error',
      from: { path: '^services/[^/]+/src/domain/', pathNot: TEST },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|buffer|path)$' },
    },
    room('flows', 'flows/', ['flows/', 'domain/', PORTS], [...PURE, 'rpc', 'event-log', 'telemetry']),
    room('loops', 'loops/', ['loops/', 'flows/', 'domain/', PORTS], [...PURE, 'rpc', 'event-log', 'telemetry', 'lifecycle']),
    room('api', 'api(\\.ts$|/)', ['api(\\.ts$|/)', 'flows/', 'domain/', PORTS], [...PURE, 'rpc', 'telemetry', 'postgres']),
    {
      name: 'apis-know-no-other',
      severity: 'error',
      from: { path: '^services/gateway/src/api/(rest|scf|grpc)/', pathNot: TEST },
      to: { path: '^services/gateway/src/api/(rest|scf|grpc)/', pathNot: '^services/gateway/src/api/$1/' },
    },
    {
      name: 'http-knows-no-api',
      severity: 'error',
      from: { path: '^services/gateway/src/api/http/', pathNot: TEST },
      to: { path: '^services/gateway/src/api/(rest|scf|grpc)/' },
    },
    room('adapters', 'adapters/', ['adapters/', 'domain/', PORTS], ['[^/]+']),
    room('config', 'config\\.ts$', ['api/access', 'domain/'], ['config', 'errors', 'time', 'function-model', 'service-main']),
    {
      name: 'testkit-in-tests',
      severity: 'error',
      from: { pathNot: [...TEST, '^libs/testkit/', '^bench/', '^tools/'] },
      to: { path: '^libs/testkit/' },
    },
    owned('grpc', 'node_modules/@grpc/', ['^libs/(rpc|contracts)/']),
    owned('kafkajs', 'node_modules/kafkajs/', ['^libs/event-log/']),
    owned('postgres', 'node_modules/postgres/', ['^libs/postgres/']),
    owned('foreign-functions', 'node_modules/koffi/', [
      '^services/instance-agent/src/adapters/(network/|process/launch/(output-pipes|posix-spawn).ts)',
    ]),
    owned('processes', '^(node:)?child_process$', ['^services/instance-agent/src/adapters/', '^libs/(postgres|testkit)/', '^tools/']),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: 'libs/contracts/src/gen/google|^test/functions/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs'],
    },
  },
};
