#!/bin/sh
# System handler `restart`: requests a restart by creating the file of the property `request`. Another program watches for the
# file and restarts the machine. It implements the handler contract with only a POSIX shell, grep, sed, tail and mv.
set -eu

# report NAME JSON: prints a report line
report() {
    printf 'pop.report.%s %s\n' "$1" "$2"
}

# fail CODE MESSAGE [REPORT]: ends a failed call; the message must have no quotes
fail() {
    event="{\"message\":\"$2\",\"statusCode\":\"$1\"${3:+,\"payload\":$3}}"
    report progress "{\"processingState\":\"COMPLETE\",\"processingStateMessage\":\"failed\",\"diagnosticEvents\":[$event]}"
    exit 1
}

# text_of JSON NAME: prints the last text with that name, if it has neither quotes nor backslashes. Options of this handler
# must therefore not have the field names of a call
text_of() {
    printf '%s' "$1" | tr '\n' ' ' | grep -o "\"$2\"[[:space:]]*:[[:space:]]*\"[^\"\\\\]*\"" | tail -n 1 |
        sed 's/.*"\(.*\)"$/\1/'
}

case "${POP_PAYLOAD_TYPE:-envVar}" in
    envVar) payload=${PAYLOAD:-} ;;
    file) payload=$(cat -- "$POP_PAYLOAD_FILE") ;;
    *) fail payload 'the payload is too long for a call of this handler' ;;
esac
capability=$(text_of "$payload" capability)
method=$(text_of "$payload" method)
if [ -z "$capability" ] || [ -z "$method" ]; then
    fail payload 'the payload is not a call'
fi
[ "$capability.$method" = system.reboot ] ||
    fail not-implemented "\`$capability.$method\` is not implemented by this handler"

# failed MESSAGE: ends with a failed report
failed() {
    details="{\"message\":\"$1\",\"trace\":\"\"}"
    fail report "$1" "{\"succeeded\":false,\"details\":$details,\"num_changes\":0,\"reboot_scheduled\":false}"
}

request=$(text_of "${POP_PROPERTIES:-}" request)
[ -n "$request" ] || failed 'the property request is missing'
folder=$(dirname -- "$request")
[ -d "$folder" ] || failed "the folder of the request, $folder, does not exist"

changes=0
if [ ! -e "$request" ]; then
    # write and rename: the final name never has a half-written file
    printf 'requested by operation %s of run %s\n' "${OPERATION_NAME:-}" "${POP_RUN_ID:-}" >"$request.part"
    mv -- "$request.part" "$request"
    changes=1
fi
# ignore stop requests from here on, so that the success is reported
trap '' TERM
report payload "{\"succeeded\":true,\"details\":{\"request\":\"$request\"},\"num_changes\":$changes,\"reboot_scheduled\":true}"
report progress '{"processingState":"COMPLETE","processingStateMessage":"succeeded","percentComplete":100}'
