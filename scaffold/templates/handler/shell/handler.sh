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
    {"name": "payload", "about": "the payload is not one of this handler"},
    {"name": "cancelled", "about": "it was asked to stop"}
  ],
  "payloadForms": ["envVar", "file"],
  "input": {
    "type": "object",
    "properties": {
      "text": {"type": "string", "pattern": "^[^\"\\\\]*$", "description": "The text, without quotes and backslashes."},
      "times": {"type": "integer", "minimum": 1, "maximum": 999, "description": "How often the result has it."},
      "pauseSeconds": {"type": "integer", "minimum": 0, "default": 0, "description": "How long each time takes."}
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

# --- what every handler in shell needs -------------------------------------------------------------------------------

# Ends before anything was begun: what the process was given at its start cannot be used.
refuse() {
  echo "error: $1" >&2
  exit 2
}

# Takes a text into a text of JSON.
escaped() {
  printf '%s' "$1" | tr '\n\t' '  ' | sed 's/[\\"]/\\&/g'
}

# Tells of progress: how many of how many steps are done.
progress() {
  echo "pop.report.progress {\"processingState\":\"EXECUTING\",\"percentComplete\":$((100 * $1 / $2))}"
}

# Ends with a result, which is JSON.
succeed() {
  trap '' TERM INT
  echo "pop.report.payload $1"
  echo 'pop.report.progress {"processingState":"COMPLETE","processingStateMessage":"succeeded","percentComplete":100}'
  echo HandlerComplete >&2
  exit 0
}

# Ends with a failure: its code, which `retry.on` and `ignoreErrors` of an agenda can name, and what went wrong.
fail() {
  trap '' TERM INT
  [ -z "${waiting:-}" ] || kill "$waiting"
  diagnostic="{\"message\":\"$(escaped "$2")\",\"statusCode\":\"$1\"}"
  echo "pop.report.progress {\"processingState\":\"COMPLETE\",\"processingStateMessage\":\"failed\",\"diagnosticEvents\":[$diagnostic]}"
  echo HandlerComplete >&2
  exit 1
}

# Runs a program that may take long: a shell hears of signals only while it waits.
patiently() {
  "$@" &
  waiting=$!
  wait "$waiting"
  status=$?
  waiting=
  return "$status"
}

# A text of the payload, without quotes and backslashes; nothing if it has none of this name.
text_of() {
  printf '%s' "$payload" | grep -o "\"$1\"[[:space:]]*:[[:space:]]*\"[^\"\\\\]*\"" | tail -n 1 | sed 's/.*"\(.*\)"$/\1/'
}

# A whole number of the payload; nothing if it has none of this name.
number_of() {
  printf '%s' "$payload" | grep -o "\"$1\"[[:space:]]*:[[:space:]]*[0-9]\{1,9\}[[:space:]]*[,}]" | tail -n 1 |
    sed 's/.*:[[:space:]]*\([0-9]*\).*/\1/'
}

# Makes capitals small.
lower() {
  printf '%s' "$1" | tr '[:upper:]' '[:lower:]'
}

# Takes `-name x`, `--name x`, `--name=x` and `--na-me x` apart, in any letter case.
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

# a handler in shell needs neither, but a wrong word is a mistake that somebody made
for value in "$launch_type" "$external_launch_type"; do
  case $(lower "$value") in
    local | docker | kubernetes) ;;
    *) refuse "launch type \`$value\`: it is local, docker or kubernetes" ;;
  esac
done

# what stands in a line `key = value` of the properties file
for file in config/external.properties config/external-properties /app/config/external.properties; do
  [ -n "$properties" ] || [ ! -e "$file" ] || properties=$file
done
property() {
  [ -z "$properties" ] || sed -n "s/^[[:space:]]*$1[[:space:]]*[=:][[:space:]]*//p" "$properties"
}
[ -z "$properties" ] || [ -r "$properties" ] || refuse "\`$properties\` cannot be read"

if [ -z "$payload_file" ]; then
  case $(lower "${POP_PAYLOAD_TYPE:-}") in
    file) payload_file=${POP_PAYLOAD_FILE:-}; [ -n "$payload_file" ] || refuse "\`POP_PAYLOAD_FILE\` is not set" ;;
    compressedenvvar) refuse "a handler in shell cannot read a compressed payload" ;;
    *)
      payload=${PAYLOAD:-}
      [ -n "$payload" ] || payload_file=$(property payloadFile)
      [ -n "$payload$payload_file" ] || refuse "no payload; give \`--payloadFile FILE\` or set \`PAYLOAD\`"
      ;;
  esac
fi
if [ -n "$payload_file" ]; then
  payload=$(cat "$payload_file") || refuse "\`$payload_file\` cannot be read"
fi
payload=$(printf '%s' "$payload" | tr '\n' ' ')
trap 'echo "error: nobody takes the report" >&2; exit 1' PIPE
trap 'fail cancelled "asked to stop"' TERM INT

# --- the work --------------------------------------------------------------------------------------------------------

text=$(text_of text)
times=$(number_of times)
pause=$(number_of pauseSeconds)
[ -n "$text" ] || fail payload "the payload has no text \`text\` without quotes and backslashes"
case ${times:-0} in
  0 | [0-9][0-9][0-9][0-9]*) fail payload "the payload has no number \`times\` from 1 to 999" ;;
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
