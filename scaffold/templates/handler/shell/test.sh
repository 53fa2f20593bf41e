#!/bin/sh
# Tests of handler `{{name}}`: each runs the handler and checks its exit status and output.
set -u
cd "$(dirname "$0")" || exit 1
unset PAYLOAD POP_PAYLOAD_TYPE POP_PAYLOAD_FILE POP_PROP_FILE POP_LAUNCH_TYPE POP_EXTERNAL_LAUNCH_TYPE
failed=0

# check NAME STATUS TEXT COMMAND...: the command ends with the status, and one of its lines contains the text.
check() {
  name=$1 status=$2 text=$3
  shift 3
  output=$("$@" 2>&1)
  ended=$?
  if [ "$ended" -eq "$status" ] && printf '%s\n' "$output" | grep -qF -e "$text"; then
    echo "ok: $name"
  else
    echo "FAILED: $name (exit $ended)"
    printf '%s\n' "$output"
    failed=1
  fi
}

good='{"text": "la", "times": 2}'
check 'a text is repeated' 0 'pop.report.payload {"text":"la la","times":2}' env PAYLOAD="$good" ./handler.sh
check 'progress is reported' 0 '"percentComplete":50' env PAYLOAD="$good" ./handler.sh
check 'success is reported' 0 '"processingStateMessage":"succeeded"' env PAYLOAD="$good" ./handler.sh
check 'an argument names the payload file' 0 '"text":"hello hello hello"' ./handler.sh -payloadFile payload.json --launch-type=local
check 'the environment names the payload file' 0 succeeded env POP_PAYLOAD_TYPE=file POP_PAYLOAD_FILE=payload.json ./handler.sh
check 'a missing text fails' 1 '"statusCode":"payload"' env PAYLOAD='{"times": 2}' ./handler.sh
check 'a text with quotes fails' 1 '"statusCode":"payload"' env PAYLOAD='{"text": "a \"b\"", "times": 2}' ./handler.sh
check 'a number out of range fails' 1 '"statusCode":"payload"' env PAYLOAD='{"text": "la", "times": 0}' ./handler.sh
check 'a missing payload is refused' 2 'no payload' ./handler.sh
check 'a missing payload file is refused' 2 'cannot read' ./handler.sh --payloadFile none.json
check 'an unknown argument is refused' 2 'unknown argument' ./handler.sh --payload x
check 'a missing properties file is refused' 2 'cannot read' env PAYLOAD="$good" ./handler.sh --propFile none
check 'an unknown launch type is refused' 2 'local, docker or kubernetes' env PAYLOAD="$good" ./handler.sh --launch-type=moon
check 'a compressed payload is refused' 2 'compressed' env POP_PAYLOAD_TYPE=compressedEnvVar ./handler.sh
check 'the socket of a container is refused' 2 'cannot connect' env POP_WARM_SOCKET=/run/pop/warm.sock ./handler.sh
check 'the description has the input schema' 0 '"input": {' ./handler.sh --describe

# Sends SIGTERM after the first report; the handler must not run for its hundred seconds.
# shellcheck disable=SC2329 # `check` calls this function
run_and_stop() {
  folder=$(mktemp -d) || return
  mkfifo "$folder/output"
  PAYLOAD='{"text": "la", "times": 100, "pauseSeconds": 1}' ./handler.sh >"$folder/output" 2>/dev/null &
  handler=$!
  exec 3<"$folder/output"
  read -r _ <&3
  kill -TERM "$handler"
  cat <&3
  wait "$handler"
  ended=$?
  rm -r "$folder"
  return "$ended"
}
check 'SIGTERM cancels the work' 1 '"statusCode":"cancelled"' run_and_stop
exit "$failed"
