export { answers } from './answers.ts';
export { freePort, startKafka, type KafkaOptions, type KafkaServer, type SecureListener } from './server.ts';
export { testKafka, type TestKafka, type TestKafkaOptions } from './test-kafka.ts';
export { kafkaJars, whyNoKafka } from './jars.ts';
export { madeTopic } from './made-topic.ts';
