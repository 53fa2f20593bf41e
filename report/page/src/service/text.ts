// Texts of others as texts of one line: nothing in them acts, and none is endless.

/** Most characters of a text in a list. */
const LONGEST = 300;

/** Control characters, and marks that reorder what stands beside them. */
const ACTING = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const ACTING_LINES = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

export function shown(value: unknown, most = LONGEST): string {
    return cut(value, most).replace(ACTING, "\ufffd");
}

/** The same with its lines. */
export function shownLines(value: unknown, most = 100_000): string {
    return cut(value, most).replace(ACTING_LINES, "\ufffd");
}

function cut(value: unknown, most: number): string {
    const text = typeof value === "string" ? value : value === undefined || value === null ? "" : String(value);
    return text.length > most ? `${text.slice(0, most)} … [cut: ${most} of ${text.length} characters]` : text;
}

/** `in 3 m 20 s`, `12 s ago`. */
export function relative(time: number, now: number): string {
    const seconds = Math.round(Math.abs(time - now) / 1000);
    const text =
        seconds < 60
            ? `${seconds} s`
            : seconds < 3600
              ? `${Math.floor(seconds / 60)} m ${seconds % 60} s`
              : seconds < 86_400
                ? `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} m`
                : `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
    return time > now ? `in ${text}` : `${text} ago`;
}
