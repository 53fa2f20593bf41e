#!/bin/sh
# System handler `restart`: leaves a request for a restart in the file that the property `request` names, for whoever
# restarts this machine to find. It speaks the handler contract with nothing but a POSIX shell, grep, sed, tail and mv.
set -eu

# report NAME JSON: a report line
report() {
    printf 'pop.report.%s %s\n' "$1" "$2"
}

# fail CODE MESSAGE [REPORT]: the end of a call that did not succeed; the message has no quotes
fail() {
    event="{\"message\":\"$2\",\"statusCode\":\"$1\"${3:+,\"payload\":$3}}"
    report progress "{\"processingState\":\"COMPLETE\",\"processingStateMessage\":\"failed\",\"diagnosticEvents\":[$event]}"
    exit 1
}

# text_of JSON NAME: the text of that name, if it has neither quotes nor backslashes; of several it is the last one, so
# options of this handler must not have the names of a call
text_of() {
    printf '%s' "$1" | tr '\n' ' ' | grep -o "\"$2\"[[:space:]]*:[[:space:]]*\"[^\"\\\\]*\"" | tail -n 1 |
        sed 's/.*"\(.*\)"$/\1/'
}

case "${POP_PAYLOAD_TYPE:-envVar}" in
    envVar) payload=${PAYLOAD:-} ;;
    file) payload=$(cat -- "$POP_PAYLOAD_FILE") ;;
    *) fail payload 'a call to restart is never as long as this' ;;
esac
capability=$(text_of "$payload" capability)
method=$(text_of "$payload" method)
if [ -z "$capability" ] || [ -z "$method" ]; then
    fail payload 'the payload is no call'
fi
[ "$capability.$method" = system.reboot ] ||
    fail not-implemented "\`$capability.$method\` is not implemented by this handler"

# failed MESSAGE: the report of a restart that cannot be had
failed() {
    details="{\"message\":\"$1\",\"trace\":\"\"}"
    fail report "$1" "{\"succeeded\":false,\"details\":$details,\"num_changes\":0,\"reboot_scheduled\":false}"
}

request=$(text_of "${POP_PROPERTIES:-}" request)
[ -n "$request" ] || failed 'the property request is missing'
folder=$(dirname -- "$request")
[ -d "$folder" ] || failed "the folder of the request, $folder, is not there"

changes=0
if [ ! -e "$request" ]; then
    # under its name it is whole or not there
    printf 'asked for by operation %s of run %s\n' "${OPERATION_NAME:-}" "${POP_RUN_ID:-}" >"$request.part"
    mv -- "$request.part" "$request"
    changes=1
fi
# what succeeded is not undone by being asked to stop now
trap '' TERM
report payload "{\"succeeded\":true,\"details\":{\"request\":\"$request\"},\"num_changes\":$changes,\"reboot_scheduled\":true}"
report progress '{"processingState":"COMPLETE","processingStateMessage":"succeeded","percentComplete":100}'
