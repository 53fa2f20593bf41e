// Keeps what is shown up to date. One request for the whole page waits at the service until something has changed; only a
// visible tab waits.

import { useEffect, useRef, useState } from "preact/hooks";
import { call, Refusal } from "./api";

const WAIT_MS = 25_000;
/** Least time between two loads of the same data. */
const LEAST_PAUSE_MS = 1_000;
/** A load may take this part of the time. */
const SHARE = 8;
const LONGEST_PAUSE_MS = 30_000;

interface Changes {
    version: number;
    changed: boolean;
}

type State = "live" | "connection lost";

let version: number | undefined;
let isRunning = false;
let state: State = "live";
const listeners = new Set<() => void>();
const stateListeners = new Set<(state: State) => void>();

const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));

function setState(next: State) {
    if (next === state) return;
    state = next;
    for (const listener of stateListeners) listener(next);
}

function visible(): Promise<void> {
    if (!document.hidden) return Promise.resolve();
    return new Promise((done) => {
        const look = () => {
            if (document.hidden) return;
            document.removeEventListener("visibilitychange", look);
            done();
        };
        document.addEventListener("visibilitychange", look);
    });
}

async function run() {
    let failures = 0;
    while (listeners.size) {
        await visible();
        try {
            const since = version === undefined ? "" : `&since=${version}`;
            // without a version the answer comes at once
            const news = await call<Changes>(`changes?waitMs=${WAIT_MS}${since}`);
            const isNew = version !== undefined && news.changed;
            version = news.version;
            failures = 0;
            const wasLost = state !== "live";
            setState("live");
            if (isNew || wasLost) for (const listener of listeners) listener();
            if (isNew) await sleep(LEAST_PAUSE_MS);
        } catch (error) {
            if (error instanceof Refusal && [401, 403].includes(error.status)) break;
            setState("connection lost");
            failures++;
            await sleep(Math.min(LONGEST_PAUSE_MS, 500 * 2 ** failures));
        }
    }
    isRunning = false;
}

function listen(listener: () => void): () => void {
    listeners.add(listener);
    if (!isRunning) {
        isRunning = true;
        void run();
    }
    return () => listeners.delete(listener);
}

export function useLiveState(): State {
    const [shown, setShown] = useState(state);
    useEffect(() => {
        stateListeners.add(setShown);
        return () => {
            stateListeners.delete(setShown);
        };
    }, []);
    return shown;
}

export interface Loaded<T> {
    data: T | null;
    error: Refusal | null;
    reload: () => void;
}

/** Loads data, and loads it again when something has changed. `key` names what is loaded. */
export function useData<T>(key: string, load: (signal: AbortSignal, before: T | null) => Promise<T>): Loaded<T> {
    const [held, setHeld] = useState<{ key: string; data: T | null; error: Refusal | null }>({ key, data: null, error: null });
    const now = useRef(load);
    now.current = load;
    const reload = useRef<() => void>(() => {});
    useEffect(() => {
        const abort = new AbortController();
        let [isLoading, isStale, before] = [false, false, null as T | null];
        const again = async () => {
            if (isLoading) {
                isStale = true;
                return;
            }
            isLoading = true;
            do {
                isStale = false;
                const began = performance.now();
                try {
                    const data = await now.current(abort.signal, before);
                    before = data;
                    if (!abort.signal.aborted) setHeld({ key, data, error: null });
                } catch (error) {
                    if (abort.signal.aborted) return;
                    const refusal = error instanceof Refusal ? error : new Refusal(0, String(error));
                    setHeld({ key, data: before, error: refusal });
                }
                const took = performance.now() - began;
                if (isStale) await sleep(Math.max(LEAST_PAUSE_MS, took * SHARE));
            } while (isStale && !abort.signal.aborted);
            isLoading = false;
        };
        reload.current = () => void again();
        void again();
        const stop = listen(() => void again());
        return () => {
            abort.abort();
            stop();
        };
    }, [key]);
    const isOther = held.key !== key;
    return { data: isOther ? null : held.data, error: isOther ? null : held.error, reload: () => reload.current() };
}

/** The time, once a second. */
export function useNow(): number {
    const [now, setNow] = useState(Date.now());
    useEffect(() => {
        const timer = setInterval(() => !document.hidden && setNow(Date.now()), 1_000);
        return () => clearInterval(timer);
    }, []);
    return now;
}
