#!/bin/sh
# Handler `{{name}}`: repeats a text. It needs a POSIX shell, grep, head, sed, tail, tr and cat.
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

# frame KIND TEXT: sends pop a frame of the operation in hand.
frame() {
  printf '%s %s %s\n%s' "$1" "$operation" "${#2}" "$2" >&3
}

# report LINE: prints a report line, or sends it if the handler is warm.
report() {
  if [ -n "$operation" ]; then frame report "$1"; else echo "$1"; fi
}

# log LINE: writes a line to the log.
log() {
  if [ -n "$operation" ]; then frame log "$1$newline"; else echo "$1" >&2; fi
}

# progress DONE ALL: reports how many steps are done, of how many.
progress() {
  report "pop.report.progress {\"processingState\":\"EXECUTING\",\"percentComplete\":$((100 * $1 / $2))}"
}

# succeed JSON: ends the operation with a result.
succeed() {
  trap '' TERM INT
  report "pop.report.payload $1"
  report 'pop.report.progress {"processingState":"COMPLETE","processingStateMessage":"succeeded","percentComplete":100}'
  [ -n "$operation" ] || echo HandlerComplete >&2
  exit 0
}

# fail CODE MESSAGE: fails the operation. An agenda can name the code in `retry.on` and `ignoreErrors`.
fail() {
  trap '' TERM INT
  [ -z "${child:-}" ] || kill "$child"
  diagnostic="{\"message\":\"$(escaped "$2")\",\"statusCode\":\"$1\"}"
  report "pop.report.progress {\"processingState\":\"COMPLETE\",\"processingStateMessage\":\"failed\",\"diagnosticEvents\":[$diagnostic]}"
  [ -n "$operation" ] || echo HandlerComplete >&2
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

# serve: serves one operation after another over the socket that pop left, each in a subshell (docs/warm.md of pop).
serve() {
  # the socket of a container is a path; pop then starts a container for each operation
  case $POP_WARM_SOCKET in /*) refuse "a shell cannot connect to the socket \`$POP_WARM_SOCKET\`" ;; esac
  # lengths are in bytes
  LC_ALL=C
  eval "exec 3<&$POP_WARM_SOCKET"
  operation=0
  frame hello "{\"version\":1,\"pid\":$$}"
  while IFS=' ' read -r kind operation length <&3; do
    # the dot protects line ends
    body=$([ "$length" -eq 0 ] || head -c "$length" <&3; echo .)
    body=${body%.}
    case $kind in
      bye) exit 0 ;;
      handle) ;;
      *) continue ;;
    esac
    stopped=
    trap 'stopped=1' TERM INT
    (
      while line=${body%%"$newline"*} && body=${body#*"$newline"} && [ -n "$line" ]; do
        export "${line%%=*}=$(printf '%b' "${line#*=}")"
      done
      payload=$(printf '%s' "$body" | tr '\n' ' ')
      trap 'fail cancelled "asked to stop"' TERM INT
      work
    )
    frame end "$?"
    trap - TERM INT
    [ -z "$stopped" ] || exit 0
  done
  exit 0
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

newline='
'
operation=

# --- the work --------------------------------------------------------------------------------------------------------

# work: takes `payload`, and ends with `succeed` or `fail`.
work() {
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
    log "$number of $times"
    progress "$number" "$times"
  done
  succeed "{\"text\":\"$repeated\",\"times\":$times}"
}

# --- one operation, or many -------------------------------------------------------------------------------------------

[ -z "${POP_WARM_SOCKET:-}" ] || serve
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
work
