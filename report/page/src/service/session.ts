// The token of this tab. It lives in the tab's session storage: a browser sends it nowhere by itself, so no other site can
// use it, and no other port of this host gets it, as each would get a cookie. Other tabs of this page may ask for it.

const KEY = "pop.token";
const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("pop.session");

export function token(): string {
    return sessionStorage.getItem(KEY) ?? "";
}

export function setToken(secret: string) {
    if (secret) sessionStorage.setItem(KEY, secret);
    else sessionStorage.removeItem(KEY);
}

/** Signs out in all tabs. */
export function signOut() {
    setToken("");
    channel?.postMessage({ kind: "signed-out" });
}

/** Asks other tabs for their token, and waits a little for the answer. */
export function askOtherTabs(): Promise<void> {
    if (token() || !channel) return Promise.resolve();
    return new Promise((done) => {
        const timer = setTimeout(done, 150);
        waiting = () => {
            clearTimeout(timer);
            done();
        };
        channel.postMessage({ kind: "ask" });
    });
}

let waiting: (() => void) | null = null;
let onSignedOut: (() => void) | null = null;

export function whenSignedOut(act: () => void) {
    onSignedOut = act;
}

// only pages of the same origin reach this channel
channel?.addEventListener("message", (event) => {
    const { kind, secret } = event.data as { kind?: string; secret?: string };
    if (kind === "ask" && token()) channel.postMessage({ kind: "token", secret: token() });
    else if (kind === "token" && waiting && secret && !token()) {
        setToken(secret);
        waiting();
        waiting = null;
    } else if (kind === "signed-out" && token()) {
        setToken("");
        onSignedOut?.();
    }
});
