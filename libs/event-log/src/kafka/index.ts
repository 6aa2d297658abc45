export { openKafkaLog } from './driver.ts';
export { kafkaOptions, type KafkaConnection, type KafkaLogOptions, type TopicSettings } from './options.ts';
export { MessageRefused, openTopicWriter, type TopicMessage, type TopicWriter } from './topic-writer.ts';
export { KAFKA_CHECKS, kafkaSettings, type KafkaSettings } from './settings.ts';
