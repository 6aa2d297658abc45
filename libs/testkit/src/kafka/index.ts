export { freePort, startKafka, type KafkaOptions, type KafkaServer, type SecureDoor } from './server.ts';
export { testKafka, type TestKafka } from './test-kafka.ts';
export { kafkaJars, whyNoKafka } from './jars.ts';
export { madeTopic } from './made-topic.ts';
