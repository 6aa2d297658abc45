#!/bin/bash
# Makes the properties, formats the folder of the log once, and becomes the broker.
said=$(java -cp '/opt/kafka/libs/*' kafka.docker.KafkaDockerWrapper setup --default-configs-dir /etc/kafka/docker \
  --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config 2>&1) ||
  grep -qi 'already formatted' <<<"$said" || { echo "$said" >&2; exit 1; }
# shellcheck disable=SC2086 # several options
exec java ${KAFKA_HEAP_OPTS:--Xms1G -Xmx1G} -cp '/opt/kafka/libs/*' kafka.Kafka /opt/kafka/config/server.properties
