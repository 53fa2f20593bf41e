// Numbers and times as people read them.

/** `340 ms`, `12.3 s`, `2 m 05 s`, `3 h 07 m`. */
export function duration(ms: number): string {
    if (ms < 1000) return `${Math.round(ms)} ms`;
    const seconds = Math.floor(ms / 1000);
    if (seconds < 60) return `${(ms / 1000).toFixed(1)} s`;
    const two = (value: number) => String(value).padStart(2, "0");
    if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`;
    return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} m`;
}

export function count(value: number): string {
    return value.toLocaleString("en");
}

export function bytes(value: number): string {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
        value /= 1024;
        unit++;
    }
    return unit === 0 ? `${value} B` : `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** A time of the clock where the reader is. */
export function clock(epoch: number): string {
    return new Date(epoch).toLocaleString(undefined, {
        year: "numeric",
        month: "short",
        day: "numeric",
        hour: "2-digit",
        minute: "2-digit",
        second: "2-digit",
    });
}

export function percent(part: number, whole: number): string {
    if (whole <= 0) return "–";
    const value = (100 * part) / whole;
    if (value > 0 && value < 1) return "< 1 %";
    if (value > 99 && value < 100) return "> 99 %";
    return `${Math.round(value)} %`;
}

export function plural(value: number, one: string, many = `${one}s`): string {
    return `${count(value)} ${value === 1 ? one : many}`;
}
