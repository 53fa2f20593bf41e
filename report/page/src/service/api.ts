// Requests to the service. The token travels in a header, never in a cookie or an address.

import { token } from "./session";

/** A fault of an agenda. */
export interface Fault {
    line: number | null;
    column: number | null;
    pointer: string | null;
    code: string;
    severity: string;
    message: string;
    hint: string | null;
}

/** Why the service refused a request, or why there was no answer (status 0). */
export class Refusal extends Error {
    constructor(
        readonly status: number,
        message: string,
        readonly faults: Fault[] = [],
    ) {
        super(message);
    }
}

interface Options {
    method?: string;
    body?: string;
    type?: string;
    signal?: AbortSignal;
}

/** Calls a path below `v1/`. */
export async function call<T>(path: string, { method = "GET", body, type = "application/json", signal }: Options = {}): Promise<T> {
    const headers: Record<string, string> = { accept: "application/json" };
    const secret = token();
    if (secret) headers.authorization = `Bearer ${secret}`;
    if (body !== undefined) headers["content-type"] = type;
    let response: Response;
    try {
        response = await fetch(`v1/${path}`, {
            method,
            headers,
            body,
            signal,
            cache: "no-store",
            credentials: "omit",
            redirect: "error",
        });
    } catch (error) {
        if (signal?.aborted) throw error;
        throw new Refusal(0, "the service does not answer");
    }
    const value = await response.json().catch(() => ({}));
    if (!response.ok) {
        const detail = typeof value.detail === "string" ? value.detail : `the service answers ${response.status}`;
        throw new Refusal(response.status, detail, Array.isArray(value.faults) ? value.faults : []);
    }
    return value as T;
}

export function post<T>(path: string, value: unknown = {}): Promise<T> {
    return call<T>(path, { method: "POST", body: JSON.stringify(value) });
}

/** A part of a path. */
export const part = encodeURIComponent;

/** What went wrong, in words. */
export function words(error: unknown): string {
    return error instanceof Refusal ? error.message : String(error);
}
