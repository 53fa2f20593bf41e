#!/bin/sh
# Handler `{{name}}`: repeats a text. It needs a POSIX shell, grep, sed, tail, tr and cat.
set -u

describe() {
  cat <<'END'
{
  "name": "{{name}}",
  "version": "0.1.0",
  "about": "repeats a text",
  "errors": [
    {"name": "payload", "about": "the payload is not valid"},
    {"name": "cancelled", "about": "the operation was cancelled"}
  ],
  "payloadForms": ["envVar", "file"],
  "input": {
    "type": "object",
    "properties": {
      "text": {"type": "string", "pattern": "^[^\"\\\\]*$", "description": "Text to repeat, without quotes and backslashes."},
      "times": {"type": "integer", "minimum": 1, "maximum": 999, "description": "Number of repetitions."},
      "pauseSeconds": {"type": "integer", "minimum": 0, "default": 0, "description": "Pause before each, in seconds."}
    },
    "required": ["text", "times"]
  },
  "result": {
    "type": "object",
    "properties": {"text": {"type": "string"}, "times": {"type": "integer"}},
    "required": ["text", "times"],
    "additionalProperties": false
  }
}
END
}

# --- the handler contract ---------------------------------------------------------------------------------------------

# Ends before the work starts: an argument, variable or file of the launch is missing or wrong.
refuse() {
  echo "error: $1" >&2
  exit 2
}

# Escapes a text for a JSON string.
escaped() {
  printf '%s' "$1" | tr '\n\t' '  ' | sed 's/[\\"]/\\&/g'
}

# progress DONE ALL: reports how many steps are done, of how many.
progress() {
  echo "pop.report.progress {\"processingState\":\"EXECUTING\",\"percentComplete\":$((100 * $1 / $2))}"
}

# succeed JSON: ends the operation with a result.
succeed() {
  trap '' TERM INT
  echo "pop.report.payload $1"
  echo 'pop.report.progress {"processingState":"COMPLETE","processingStateMessage":"succeeded","percentComplete":100}'
  echo HandlerComplete >&2
  exit 0
}

# fail CODE MESSAGE: fails the operation. An agenda can name the code in `retry.on` and `ignoreErrors`.
fail() {
  trap '' TERM INT
  [ -z "${child:-}" ] || kill "$child"
  diagnostic="{\"message\":\"$(escaped "$2")\",\"statusCode\":\"$1\"}"
  echo "pop.report.progress {\"processingState\":\"COMPLETE\",\"processingStateMessage\":\"failed\",\"diagnosticEvents\":[$diagnostic]}"
  echo HandlerComplete >&2
  exit 1
}

# patiently COMMAND...: runs a command that may take long. A shell handles signals during `wait`, but not during a command.
patiently() {
  "$@" &
  child=$!
  wait "$child"
  status=$?
  child=
  return "$status"
}

# text_of NAME: prints a text of the payload without quotes and backslashes, or nothing.
text_of() {
  printf '%s' "$payload" | grep -o "\"$1\"[[:space:]]*:[[:space:]]*\"[^\"\\\\]*\"" | tail -n 1 | sed 's/.*"\(.*\)"$/\1/'
}

# number_of NAME: prints a whole number of the payload, or nothing.
number_of() {
  printf '%s' "$payload" | grep -o "\"$1\"[[:space:]]*:[[:space:]]*[0-9]\{1,9\}[[:space:]]*[,}]" | tail -n 1 |
    sed 's/.*:[[:space:]]*\([0-9]*\).*/\1/'
}

# Converts a text to lower case.
lower() {
  printf '%s' "$1" | tr '[:upper:]' '[:lower:]'
}

# Parses `-name x`, `--name x`, `--name=x` and `--na-me x`, in any letter case.
payload_file=
properties=${POP_PROP_FILE:-}
launch_type=${POP_LAUNCH_TYPE:-local}
external_launch_type=${POP_EXTERNAL_LAUNCH_TYPE:-local}
while [ $# -gt 0 ]; do
  name=$(lower "${1%%=*}" | tr -d -)
  case $1:$name in
    -*:describe) describe; exit 0 ;;
    -c:*) shift; continue ;;
    -*:payloadfile | -*:launchtype | -*:externallaunchtype | -*:propfile | -*:lastprogressfile) ;;
    -*:oauthcertpath | -*:oauthtokenpath | -*:confpath) ;;
    *) refuse "unknown argument \`$1\`" ;;
  esac
  case $1 in
    *=*) value=${1#*=}; shift ;;
    *) [ $# -gt 1 ] || refuse "argument \`$1\` has no value"; value=$2; shift 2 ;;
  esac
  [ -n "$value" ] || refuse "argument \`$name\` has no value"
  case $name in
    payloadfile) payload_file=$value ;;
    propfile) properties=$value ;;
    launchtype) launch_type=$value ;;
    externallaunchtype) external_launch_type=$value ;;
  esac
done

# this handler uses neither launch type, but a wrong value is a mistake of the caller
for value in "$launch_type" "$external_launch_type"; do
  case $(lower "$value") in
    local | docker | kubernetes) ;;
    *) refuse "a launch type must be local, docker or kubernetes, not \`$value\`" ;;
  esac
done

# property KEY: prints the value of a line `key = value` of the properties file.
for file in config/external.properties config/external-properties /app/config/external.properties; do
  [ -n "$properties" ] || [ ! -e "$file" ] || properties=$file
done
property() {
  [ -z "$properties" ] || sed -n "s/^[[:space:]]*$1[[:space:]]*[=:][[:space:]]*//p" "$properties"
}
[ -z "$properties" ] || [ -r "$properties" ] || refuse "cannot read \`$properties\`"

if [ -z "$payload_file" ]; then
  case $(lower "${POP_PAYLOAD_TYPE:-}") in
    file) payload_file=${POP_PAYLOAD_FILE:-}; [ -n "$payload_file" ] || refuse "\`POP_PAYLOAD_FILE\` is not set" ;;
    compressedenvvar) refuse "a shell handler cannot read a compressed payload" ;;
    *)
      payload=${PAYLOAD:-}
      [ -n "$payload" ] || payload_file=$(property payloadFile)
      [ -n "$payload$payload_file" ] || refuse "no payload: add \`--payloadFile FILE\` or set \`PAYLOAD\`"
      ;;
  esac
fi
if [ -n "$payload_file" ]; then
  payload=$(cat "$payload_file") || refuse "cannot read \`$payload_file\`"
fi
payload=$(printf '%s' "$payload" | tr '\n' ' ')
trap 'echo "error: standard output is closed" >&2; exit 1' PIPE
trap 'fail cancelled "asked to stop"' TERM INT

# --- the work --------------------------------------------------------------------------------------------------------

text=$(text_of text)
times=$(number_of times)
pause=$(number_of pauseSeconds)
[ -n "$text" ] || fail payload "the payload needs a text \`text\` without quotes and backslashes"
case ${times:-0} in
  0 | [0-9][0-9][0-9][0-9]*) fail payload "the payload needs a number \`times\` from 1 to 999" ;;
esac

repeated=
number=0
while [ "$number" -lt "$times" ]; do
  [ "${pause:-0}" -eq 0 ] || patiently sleep "$pause"
  number=$((number + 1))
  repeated="$repeated${repeated:+ }$text"
  echo "$number of $times" >&2
  progress "$number" "$times"
done
succeed "{\"text\":\"$repeated\",\"times\":$times}"
