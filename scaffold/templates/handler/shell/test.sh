#!/bin/sh
# Tests of handler `{{name}}`: each runs it and looks at its exit status and at what it told.
set -u
cd "$(dirname "$0")" || exit 1
unset PAYLOAD POP_PAYLOAD_TYPE POP_PAYLOAD_FILE POP_PROP_FILE POP_LAUNCH_TYPE POP_EXTERNAL_LAUNCH_TYPE
failed=0

# check WHAT STATUS WORDS COMMAND...: the command ends with the status, and one of its lines has the words.
check() {
  what=$1 status=$2 words=$3
  shift 3
  told=$("$@" 2>&1)
  ended=$?
  if [ "$ended" -eq "$status" ] && printf '%s\n' "$told" | grep -qF -e "$words"; then
    echo "ok: $what"
  else
    echo "FAILED: $what (exit $ended)"
    printf '%s\n' "$told"
    failed=1
  fi
}

good='{"text": "la", "times": 2}'
check 'a text is repeated' 0 'pop.report.payload {"text":"la la","times":2}' env PAYLOAD="$good" ./handler.sh
check 'progress is told' 0 '"percentComplete":50' env PAYLOAD="$good" ./handler.sh
check 'success is told' 0 '"processingStateMessage":"succeeded"' env PAYLOAD="$good" ./handler.sh
check 'the payload may be a file' 0 '"text":"hello hello hello"' ./handler.sh -payloadFile payload.json --launch-type=local
check 'it may be named by the environment' 0 succeeded env POP_PAYLOAD_TYPE=file POP_PAYLOAD_FILE=payload.json ./handler.sh
check 'a text is needed' 1 '"statusCode":"payload"' env PAYLOAD='{"times": 2}' ./handler.sh
check 'a text has no quotes' 1 '"statusCode":"payload"' env PAYLOAD='{"text": "a \"b\"", "times": 2}' ./handler.sh
check 'a number is needed' 1 '"statusCode":"payload"' env PAYLOAD='{"text": "la", "times": 0}' ./handler.sh
check 'a payload is needed' 2 'no payload' ./handler.sh
check 'the file must be there' 2 'cannot be read' ./handler.sh --payloadFile none.json
check 'arguments are known' 2 'unknown argument' ./handler.sh --payload x
check 'a properties file that is named must be there' 2 'cannot be read' env PAYLOAD="$good" ./handler.sh --propFile none
check 'launch types are known' 2 'local, docker or kubernetes' env PAYLOAD="$good" ./handler.sh --launch-type=moon
check 'a compressed payload is refused' 2 'compressed' env POP_PAYLOAD_TYPE=compressedEnvVar ./handler.sh
check 'it describes itself' 0 '"input": {' ./handler.sh --describe

# asked to stop as soon as it has told of its first step, it does not take its hundred seconds
# shellcheck disable=SC2329 # it is called by `check`
stopped() {
  folder=$(mktemp -d) || return
  mkfifo "$folder/told"
  PAYLOAD='{"text": "la", "times": 100, "pauseSeconds": 1}' ./handler.sh >"$folder/told" 2>/dev/null &
  handler=$!
  exec 3<"$folder/told"
  read -r _ <&3
  kill -TERM "$handler"
  cat <&3
  wait "$handler"
  ended=$?
  rm -r "$folder"
  return "$ended"
}
check 'it stops when it is asked to' 1 '"statusCode":"cancelled"' stopped
exit "$failed"
