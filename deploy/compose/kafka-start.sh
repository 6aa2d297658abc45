#!/bin/bash
# Starts Kafka as its image does, and sets the passwords of its users if they differ from those set before in this volume.
set -eu
ready=/tmp/evenfall-ready
rm -f "$ready"
/etc/kafka/docker/run &
kafka=$!
trap 'kill -TERM "$kafka" 2>/dev/null || true' TERM INT

# Kafka keeps the passwords in its metadata. Its tool starts a JVM for each user: 13 s for three on a busy machine, which a restart after a crash saves.
set_passwords() {
  local file name digest kept=$KAFKA_LOG_DIRS/.evenfall-passwords
  digest=$(sha256sum /run/identity/user-*.properties)
  if [[ ! -e $kept || $(<"$kept") != "$digest" ]]; then
    # Only this container reaches the port.
    until (exec 3<>/dev/tcp/127.0.0.1/9094) 2>/dev/null; do sleep 0.5; done
    for file in /run/identity/user-*.properties; do
      name=${file##*/user-}
      until java -Xmx96m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*' kafka.admin.ConfigCommand --bootstrap-server 127.0.0.1:9094 \
        --alter --entity-type users --entity-name "${name%.properties}" --add-config-file "$file"; do
        sleep 1
      done
    done
    (umask 077 && printf '%s\n' "$digest" >"$kept.new")
    mv "$kept.new" "$kept"
  fi
  touch "$ready"
}
set_passwords &
setting=$!

status=0
wait "$kafka" || status=$?
# A signal ends the wait before Kafka has ended.
while kill -0 "$kafka" 2>/dev/null; do
  status=0
  wait "$kafka" || status=$?
done
kill "$setting" 2>/dev/null || true
exit "$status"
