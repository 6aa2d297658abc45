export { openKafkaLog } from './driver.ts';
export { kafkaOptions, type KafkaConnection, type KafkaLogOptions, type TopicSpec } from './options.ts';
export { KAFKA_CHECKS, kafkaSettings, type KafkaSettings } from './settings.ts';
