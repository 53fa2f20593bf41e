// The data of the page, as report/src/format/page writes it, and the run that the page shows.

/** The run as a whole. Times are milliseconds since its start, unless they are named otherwise. */
export interface Head {
    run: string;
    agenda: string;
    launcher: string;
    state: "ended" | "running" | "stopped";
    outcome: string | null;
    exitCode: number | null;
    /** Start, epoch milliseconds. */
    started: number;
    until: number;
    parallel: number;
    resumed: number;
    rerunOf?: string;
    replayOf?: string;
    reusedFrom: [run: string, count: number][];
    /** Command that continues the run. */
    next?: string;
    /** Folder of runs as an argument of commands. */
    runs?: string;
    inputs: [name: string, value: string][];
    usage?: Usage;
    path: [operation: number, ran: number, waited: number][];
    /** Time of the report, epoch milliseconds. */
    generated: number;
    pop: string;
}

export interface Usage {
    cpuMs?: number;
    peakMemoryBytes?: number;
    readBytes?: number;
    writtenBytes?: number;
}

export interface Failure {
    attempt: number | null;
    code: string;
    blame: string;
    message: string;
    exit?: string;
    tail?: string[];
    diagnostics?: string[];
}

export type FileRow = [path: string, size: number, digest: string];

/** What only some operations have. */
export interface Detail {
    failures?: Failure[];
    repeat?: string;
    files?: { folder: string; read: FileRow[]; written: FileRow[] };
    result?: string;
    notes?: string[];
    percent?: number;
    usage?: [attempt: number, usage: Usage][];
    waits?: [attempt: number, from: number, text: string][];
}

/** Operations as columns; report/src/format/page/chunk.rs says what each holds. */
interface Chunk {
    ops?: number[];
    count: number;
    name: string[];
    label: Record<string, string>;
    types: string[];
    kind: number[];
    state: number[];
    origin: number[];
    of: number[];
    whole: number[];
    deps: number[];
    dep: number[];
    settled: number[];
    tries: number[];
    start: number[];
    took: number[];
    end: number[];
    waits: number[];
    lastWaits: number[];
    wait: number[];
    waited: number[];
    more: Record<string, Detail>;
    leftOut: [failures: number, files: number, results: number];
}

export interface PageData {
    live?: string;
    head: Head;
    chunk: Chunk;
}

/** States of operations, in the order of their numbers. */
export const STATES = [
    "failed",
    "deadLettered",
    "cancelled",
    "stopped",
    "running",
    "waiting",
    "skipped",
    "fromCache",
    "succeeded",
] as const;
export const FAILED = 0;
export const DEAD = 1;
export const RUNNING = 4;
export const WAITING = 5;
export const STATE_LABELS = [
    "failed",
    "dead-lettered",
    "cancelled",
    "stopped",
    "running",
    "waiting",
    "skipped",
    "from the cache",
    "succeeded",
];

/** Kinds of waits, in the order of their numbers. */
export const WAITS = [
    "dependencies",
    "slot",
    "resources",
    "maxParallel",
    "lock",
    "delay",
    "backOff",
    "files",
    "cache",
    "executor",
] as const;
export const WAIT_LABELS = [
    "dependencies",
    "a slot (--parallel)",
    "resources",
    "maxParallel",
    "a lock",
    "a delay",
    "back-off before a retry",
    "files",
    "the cache",
    "an executor (stopped)",
];

/** Endings of attempts, in the order of their numbers. */
export const ENDINGS = ["running", "succeeded", "failed", "cancelled", "lost", "displaced"];

export interface Segment {
    kind: number;
    from: number;
    until: number;
}

export interface Attempt {
    number: number;
    start: number;
    end: number;
    /** An index in ENDINGS. */
    ending: number;
    waits: Segment[];
}

/**
 * The run that the page shows. Operations are known by their number. Attempts, waits and dependencies stand in columns, in
 * which each operation has a part: an object for each would take most of the time in which a large page opens.
 */
export class Run {
    head!: Head;
    count = 0;
    types: string[] = [];
    names: string[] = [];
    labels = new Map<number, string>();
    kind: number[] = [];
    state: number[] = [];
    origin: number[] = [];
    /** Operation around it or generator; -1 for none. */
    of: number[] = [];
    whole: number[] = [];
    /** -1 for none. */
    settled: number[] = [];
    /** First attempt in the columns of attempts, and their number. */
    firstTry: number[] = [];
    tries: number[] = [];
    tryStart: number[] = [];
    tryEnd: number[] = [];
    /** An index in ENDINGS. */
    tryEnding: number[] = [];
    /** First wait before the attempt in the columns of waits, and their number. */
    private tryWait: number[] = [];
    private tryWaits: number[] = [];
    private lastWait: number[] = [];
    private lastWaits: number[] = [];
    private waitKind: number[] = [];
    private waitTook: number[] = [];
    private firstDep: number[] = [];
    private depCount: number[] = [];
    private dep: number[] = [];
    private stems: string[] = [];
    more = new Map<number, Detail>();
    leftOut: [number, number, number] = [0, 0, 0];
    /** Parts of each operation that has some. */
    parts = new Map<number, number[]>();
    /** Number of operations in each state. */
    counts: number[] = [];
    /** Number of the version: it grows with each change. */
    version = 0;

    constructor(data: PageData) {
        this.add(data);
    }

    /** Takes operations as they are now. */
    add({ head, chunk }: PageData) {
        this.head = head;
        this.count = chunk.count;
        const kinds = chunk.types.map((name) => {
            const known = this.types.indexOf(name);
            return known < 0 ? this.types.push(name) - 1 : known;
        });
        // what was known of these operations stays in the columns, unused
        const [waits, deps, tries] = [this.waitKind.length, this.dep.length, this.tryStart.length];
        this.waitKind = this.waitKind.concat(chunk.wait);
        this.waitTook = this.waitTook.concat(chunk.waited);
        this.dep = this.dep.concat(chunk.dep);
        this.tryEnding = this.tryEnding.concat(chunk.end);
        this.tryWaits = this.tryWaits.concat(chunk.waits);
        let [dep, attempt, wait, start] = [deps, tries, waits, 0];
        for (let at = 0; at < chunk.start.length; at++) {
            start += chunk.start[at];
            this.tryStart.push(start);
            this.tryEnd.push(start + chunk.took[at]);
            this.tryWait.push(wait);
            wait += chunk.waits[at];
        }
        const size = chunk.ops?.length ?? chunk.count;
        for (let at = 0; at < size; at++) {
            const op = chunk.ops ? chunk.ops[at] : at;
            const of = chunk.of[at] ? op - chunk.of[at] : -1;
            const name = chunk.name[at];
            this.names[op] = name.charCodeAt(0) === 45 ? this.names[of] + name.slice(1) : name;
            this.kind[op] = kinds[chunk.kind[at]];
            this.state[op] = chunk.state[at];
            this.origin[op] = chunk.origin[at];
            if (of >= 0 && chunk.origin[at] < 3 && this.of[op] === undefined) {
                const parts = this.parts.get(of);
                if (parts) parts.push(op);
                else this.parts.set(of, [op]);
            }
            this.of[op] = of;
            this.whole[op] = chunk.whole[at];
            this.firstDep[op] = dep;
            this.depCount[op] = chunk.deps[at];
            dep += chunk.deps[at];
            this.firstTry[op] = attempt;
            this.tries[op] = chunk.tries[at];
            attempt += chunk.tries[at];
            const end = chunk.tries[at] ? this.tryEnd[attempt - 1] : 0;
            this.settled[op] = chunk.settled[at] < 0 ? -1 : end + chunk.settled[at];
            this.lastWait[op] = wait;
            this.lastWaits[op] = chunk.lastWaits[at];
            wait += chunk.lastWaits[at];
        }
        if (chunk.ops) for (const op of chunk.ops) this.more.delete(op);
        for (const op in chunk.more) this.more.set(Number(op), chunk.more[op]);
        for (const op in chunk.label) this.labels.set(Number(op), chunk.label[op]);
        if (!chunk.ops) this.leftOut = chunk.leftOut;
        this.counts = STATES.map(() => 0);
        for (let op = 0; op < this.count; op++) this.counts[this.state[op]]++;
        if (head.state === "running") this.advance(head.until);
        this.version++;
    }

    /** Lets what runs and what waits last until a time. */
    advance(until: number) {
        this.head.until = until;
        for (let op = 0; op < this.count; op++) {
            if (this.settled[op] >= 0) continue;
            const last = this.firstTry[op] + this.tries[op] - 1;
            if (this.tries[op] && this.tryEnding[last] === 0) this.tryEnd[last] = Math.max(this.tryStart[last], until);
            const [first, waits] = [this.lastWait[op], this.lastWaits[op]];
            if (!waits) continue;
            // the last of them lasts; all together begin after the last attempt
            let before = 0;
            for (let at = first; at < first + waits - 1; at++) before += this.waitTook[at];
            const begin = this.waitBegin[op] ?? until - before - this.waitTook[first + waits - 1];
            this.waitBegin[op] = begin;
            this.waitTook[first + waits - 1] = Math.max(0, until - begin - before);
        }
        this.version++;
    }

    /** Begin of the open waits of operations, while the run goes on. */
    private waitBegin: Record<number, number> = {};

    /** The attempts of an operation. */
    attempts(op: number): Attempt[] {
        const list: Attempt[] = [];
        for (let number = 1; number <= this.tries[op]; number++) {
            const at = this.firstTry[op] + number - 1;
            const start = this.tryStart[at];
            const waits = this.segments(this.tryWait[at], this.tryWaits[at], start);
            list.push({ number, start, end: this.tryEnd[at], ending: this.tryEnding[at], waits });
        }
        return list;
    }

    /** The waits that no attempt followed. */
    waitsAfter(op: number): Segment[] {
        const until = this.settled[op] < 0 ? this.head.until : this.settled[op];
        return this.segments(this.lastWait[op], this.lastWaits[op], until);
    }

    /** Operations that it depends on. */
    deps(op: number): number[] {
        const list: number[] = [];
        for (let at = 0; at < this.depCount[op]; at++) list.push(op - this.dep[this.firstDep[op] + at]);
        return list;
    }

    dependsOn(op: number, on: number): boolean {
        for (let at = 0; at < this.depCount[op]; at++) if (op - this.dep[this.firstDep[op] + at] === on) return true;
        return false;
    }

    /** Calls back with kind and duration of each wait of an operation. */
    eachWait(op: number, see: (kind: number, took: number) => void) {
        const each = (first: number, count: number) => {
            for (let at = first; at < first + count; at++) see(this.waitKind[at], this.waitTook[at]);
        };
        const end = this.firstTry[op] + this.tries[op];
        for (let at = this.firstTry[op]; at < end; at++) each(this.tryWait[at], this.tryWaits[at]);
        each(this.lastWait[op], this.lastWaits[op]);
    }

    /** The name for people. */
    shown(op: number): string {
        return this.labels.get(op) ?? this.names[op];
    }

    /** The name without its numbers: the same for operations that only differ in them. */
    stem(op: number): string {
        this.stems[op] ??= stem(this.names[op]);
        return this.stems[op];
    }

    type(op: number): string {
        return this.types[this.kind[op]];
    }

    /** Begin of the first attempt, also of parts; -1 for none. */
    begin(op: number): number {
        if (this.tries[op]) return this.tryStart[this.firstTry[op]];
        let begin = -1;
        for (const part of this.parts.get(op) ?? []) {
            const of = this.begin(part);
            if (of >= 0 && (begin < 0 || of < begin)) begin = of;
        }
        return begin;
    }

    /** Time that its attempts ran; for an operation with parts, from the first start to its end. */
    took(op: number): number {
        if (this.whole[op]) {
            const begin = this.begin(op);
            return begin < 0 ? 0 : Math.max(0, (this.settled[op] < 0 ? this.head.until : this.settled[op]) - begin);
        }
        let sum = 0;
        const end = this.firstTry[op] + this.tries[op];
        for (let at = this.firstTry[op]; at < end; at++) sum += this.tryEnd[at] - this.tryStart[at];
        return sum;
    }

    /** Time that it waited, but for dependencies. */
    waited(op: number): number {
        let sum = 0;
        this.eachWait(op, (kind, took) => {
            if (kind) sum += took;
        });
        return sum;
    }

    /** The failure that decided the outcome. */
    failure(op: number): Failure | undefined {
        const failures = this.more.get(op)?.failures;
        return failures?.[failures.length - 1];
    }

    /** The operations without parts below an operation, or itself. */
    leaves(op: number, into: number[] = []): number[] {
        const parts = this.parts.get(op);
        if (!parts) into.push(op);
        else for (const part of parts) this.leaves(part, into);
        return into;
    }

    /** Waits that end at a time, with nothing between them. */
    private segments(first: number, count: number, until: number): Segment[] {
        const list: Segment[] = new Array(count);
        for (let at = count - 1; at >= 0; at--) {
            const from = until - this.waitTook[first + at];
            list[at] = { kind: this.waitKind[first + at], from, until };
            until = from;
        }
        return list;
    }
}

/** A text without its numbers. */
export function stem(text: string): string {
    return text.replace(/\d+/g, "…");
}
