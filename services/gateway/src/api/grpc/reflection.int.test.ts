import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { type DescMessage, createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionService,
} from '@evenfall/contracts/grpc/reflection/v1/reflection';
import { ServerReflectionService as OlderServerReflectionService } from '@evenfall/contracts/grpc/reflection/v1alpha/reflection';
import { Event } from '@evenfall/contracts/v1/event';
import { grpcClient } from '@evenfall/rpc';
import { goTool } from '@evenfall/testkit';
import { KEY, openApis, WITH_KEY } from '../../testing/harness.ts';

const GRPCURL = 'github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3';
const PUBLIC = /^(evenfall\.v1|grpc\.health\.v1|google\.protobuf)$/;
const DOCUMENT = readFileSync(new URL('../../../../../docs/reference/proto.md', import.meta.url), 'utf8');

type Asked = NonNullable<ServerReflectionRequest['messageRequest']>;

describe('reflection', () => {
  const apis = openApis();

  for (const [version, service] of [
    ['v1', ServerReflectionService],
    ['v1alpha', OlderServerReflectionService],
  ] as const) {
    describe(version, () => {
      let open: ReturnType<typeof grpcClient<typeof ServerReflectionService>>;
      before(() => {
        open = grpcClient(service, `127.0.0.1:${apis.gateway.grpcPort}`, { headers: WITH_KEY });
      });
      after(() => open.close());

      const ask = async (...asked: Asked[]): Promise<NonNullable<ServerReflectionResponse['messageResponse']>[]> => {
        async function* requests() {
          for (const messageRequest of asked) yield { host: 'h', messageRequest };
        }
        const answers: NonNullable<ServerReflectionResponse['messageResponse']>[] = [];
        for await (const { messageResponse, originalRequest, validHost } of open.client.serverReflectionInfo(requests())) {
          assert.deepEqual([originalRequest?.messageRequest?.$case, validHost], [asked[answers.length]?.$case, 'h']);
          answers.push(messageResponse ?? assert.fail('no answer'));
        }
        return answers;
      };
      const filesOf = async (asked: Asked) => {
        const [answer] = await ask(asked);
        assert.equal(answer?.$case, 'fileDescriptorResponse', JSON.stringify([asked, answer]));
        const files = answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
        return { files, registry: createFileRegistry(files[0] ?? assert.fail(), (name) => files.find((file) => file.name === name)) };
      };
      const listed = async (): Promise<string[]> => {
        const [answer] = await ask({ $case: 'listServices', value: '*' });
        assert.equal(answer?.$case, 'listServicesResponse');
        return answer.value.service.map(({ name }) => name);
      };

      it('resolves every service, method and message it names, from nothing but its own answers', async () => {
        const services = await listed();
        assert.deepEqual(
          services.filter((name) => !name.startsWith('evenfall.v1.')),
          ['grpc.health.v1.Health'],
        );
        assert.equal(services.length, 9);
        for (const name of services) {
          const { files, registry } = await filesOf({ $case: 'fileContainingSymbol', value: name });
          for (const file of files) assert.match(file.package, PUBLIC);
          const described = registry.getService(name) ?? assert.fail(name);
          for (const method of described.methods) {
            for (const symbol of [`${name}.${method.name}`, method.input.typeName, method.output.typeName])
              await filesOf({ $case: 'fileContainingSymbol', value: symbol });
          }
          for (const file of files) {
            const alone = await filesOf({ $case: 'fileByFilename', value: file.name });
            assert.equal(alone.files[0]?.name, file.name);
            for (const message of alone.registry) if (message.kind === 'message') await nestedResolve(message);
          }
        }
      });
      const nestedResolve = async (message: DescMessage): Promise<void> => {
        for (const { typeName } of [...message.nestedMessages.slice(0, 1), ...message.nestedEnums.slice(0, 1)])
          await filesOf({ $case: 'fileContainingSymbol', value: typeName });
      };

      it('shows nothing of what is between services, and says what it does not have', async () => {
        const answers = await ask(
          { $case: 'fileContainingSymbol', value: 'evenfall.queue.v1.QueueService' },
          { $case: 'fileByFilename', value: 'evenfall/queue/v1/queue_service.proto' },
          { $case: 'fileContainingExtension', value: { containingType: 'evenfall.v1.Event', extensionNumber: 100 } },
          { $case: 'allExtensionNumbersOfType', value: 'evenfall.v1.Nothing' },
        );
        for (const answer of answers)
          assert.deepEqual([answer.$case, answer.$case === 'errorResponse' && answer.value.errorCode], ['errorResponse', 5]);
        const [numbers] = await ask({ $case: 'allExtensionNumbersOfType', value: 'evenfall.v1.Event' });
        assert.deepEqual(numbers, {
          $case: 'allExtensionNumbersResponse',
          value: { baseTypeName: 'evenfall.v1.Event', extensionNumber: [] },
        });
      });
    });
  }

  const grpcurl = goTool(GRPCURL);
  describe('with grpcurl', { skip: grpcurl === undefined && 'there is no go here' }, () => {
    const ran = async (args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> => {
      const child = spawn(grpcurl ?? '', args, { stdio: ['ignore', 'pipe', 'pipe'] });
      const text = { out: '', err: '' };
      child.stdout.on('data', (chunk: Buffer) => (text.out += chunk.toString('utf8')));
      child.stderr.on('data', (chunk: Buffer) => (text.err += chunk.toString('utf8')));
      const code = await new Promise<number>((resolve) => child.once('close', (status) => resolve(status ?? -1)));
      return { code, ...text };
    };
    const address = (): string => `127.0.0.1:${apis.gateway.grpcPort}`;

    it('does what docs/reference/proto.md says', async () => {
      const commands = [...DOCUMENT.matchAll(/^grpcurl (.*)$/gm)].map(([, rest = '']) => rest);
      assert.ok(commands.length >= 5, 'the document has its commands');
      for (const command of commands) {
        const withKey = command.replace('$(cat .evenfall/access-key)', `${KEY.id}:${KEY.secret}`);
        const words = [...withKey.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
          ([, single, double, plain]) => single ?? double ?? plain ?? '',
        );
        const id = /[0-9a-f-]{36}/.exec(command)?.[0];
        if (id !== undefined) apis.world.events.set(id, Event.create({ id, state: 2, result: Buffer.from('7') }));
        const { code, out, err } = await ran(words.map((word) => (word === '127.0.0.1:9090' ? address() : word)));
        assert.equal(code, 0, `${command}: ${err}`);
        if (id !== undefined) assert.equal((JSON.parse(out) as { event: { id: string } }).event.id, id);
      }
    });

    it('describes and calls every service', async () => {
      const asked = ['-plaintext', '-H', `authorization: ${WITH_KEY.authorization}`];
      const { out: services } = await ran([...asked, address(), 'list']);
      for (const service of services.trim().split('\n')) {
        const described = await ran([...asked, address(), 'describe', service]);
        assert.match(described.out, new RegExp(`service ${service.slice(service.lastIndexOf('.') + 1)} \\{`), described.err);
      }
      const payload = Buffer.from('{"n": 1.0}').toString('base64');
      const body = JSON.stringify({ namespace: 'default', function: 'killer', submission: { payload } });
      const accepted = await ran([...asked, '-d', body, address(), 'evenfall.v1.EventService/CreateEvent']);
      assert.equal(accepted.code, 0, accepted.err);
      assert.equal(apis.world.accepted.at(-1)?.accepted?.payload.toString(), '{"n": 1.0}');
      const health = await ran([...asked, '-d', '{"service": "evenfall.v1.EventService"}', address(), 'grpc.health.v1.Health/Check']);
      assert.match(health.out, /"SERVING"/, health.err);
      const missing = await ran([...asked, '-d', '{"id": "x"}', address(), 'evenfall.v1.EventService/GetEvent']);
      assert.match(missing.err, /NotFound/);
    });
  });
});
