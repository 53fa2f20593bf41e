// Signs in with a token.

import { useRef, useState } from "preact/hooks";
import { call, words } from "./api";
import type { Session } from "./model";
import { PageTitle } from "./parts";
import { setToken } from "./session";

export function SignIn({ problem, done }: { problem: string; done: (session: Session) => void }) {
    const field = useRef<HTMLInputElement>(null);
    const [refused, setRefused] = useState(problem);
    const [isBusy, setBusy] = useState(false);
    const submit = async (event: Event) => {
        event.preventDefault();
        const secret = field.current?.value.trim() ?? "";
        if (!secret) {
            setRefused("Enter a token.");
            return;
        }
        setBusy(true);
        setToken(secret);
        try {
            done(await call<Session>("session"));
        } catch (error) {
            setToken("");
            setRefused(words(error));
            field.current?.focus();
        }
        setBusy(false);
    };
    return (
        <main id="content" class="signin">
            <form class="card" onSubmit={(event) => void submit(event)}>
                <PageTitle title="Sign in" />
                <p class="soft">
                    This service needs a token. An administrator makes one with <code>pop serve --issue-token NAME=read,submit</code>. It stays in this
                    tab until you close it.
                </p>
                <label class="field">
                    <span>Token</span>
                    <input
                        ref={field}
                        type="password"
                        autocomplete="off"
                        spellcheck={false}
                        aria-invalid={refused ? "true" : undefined}
                        aria-describedby={refused ? "token-problem" : undefined}
                    />
                </label>
                {refused ? (
                    <p id="token-problem" class="problem" role="alert">
                        {refused}
                    </p>
                ) : null}
                <button type="submit" class="button main" disabled={isBusy}>
                    Sign in
                </button>
            </form>
        </main>
    );
}
