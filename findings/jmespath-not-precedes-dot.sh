#!/usr/bin/env bash
# JMESPath's `!` takes only the name after it, not the path: `!a.b` is `(!a).b`, which is null for every document.
#
# Version: jmespath 1.1.0 (Python, the reference implementation); the AWS CLI evaluates `--query` with it.
# In most languages with `!` and `.` the dot comes first, so `!user.active` reads as "not (user.active)". Here it parses,
# evaluates without an error, and gives null whatever `active` is: a filter such as `users[?!state.active]` is always empty.
# `!(user.active)` negates the path.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check jmespath==1.1.0
said=$("$folder/venv/bin/python" - <<'PY'
import jmespath

for active in (True, False):
    document = {"user": {"active": active}, "users": [{"name": "ann", "state": {"active": active}}]}
    for expression in ("!user.active", "!(user.active)", "users[?!state.active].name", "users[?!(state.active)].name"):
        print(active, expression, jmespath.search(expression, document))
PY
)
echo "$said"
[ "$said" = "True !user.active None
True !(user.active) False
True users[?!state.active].name []
True users[?!(state.active)].name []
False !user.active None
False !(user.active) True
False users[?!state.active].name []
False users[?!(state.active)].name ['ann']" ]
