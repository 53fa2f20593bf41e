// Rows of the timeline: operations in the order of the plan, parts below what they belong to, and many alike folded.

import type { Run } from "./data";

export interface Row {
    /** Known over changes: `o12` for an operation, `g12` for a group that begins with it. */
    key: string;
    /** The operation; for a group its first. */
    op: number;
    label: string;
    depth: number;
    /** What it stands for while it is folded; none for a single operation. */
    members?: number[];
    isOpen: boolean;
}

/** As many operations in a row that are alike become a group. */
const GROUP = 40;
/** An operation with more parts is folded at first. */
const OPEN_PARTS = 12;

export function timelineRows(run: Run, toggled: Set<string>, only?: number[]): Row[] {
    const rows: Row[] = [];
    if (only) {
        for (const op of only) rows.push({ key: `o${op}`, op, label: run.shown(op), depth: 0, isOpen: false });
        return rows;
    }
    const top: number[] = [];
    for (let op = 0; op < run.count; op++) if (run.of[op] < 0 || run.origin[op] === 3) top.push(op);
    level(run, top, 0, toggled, rows, "");
    return rows;
}

function level(run: Run, ops: number[], depth: number, toggled: Set<string>, rows: Row[], around: string) {
    for (let at = 0; at < ops.length; ) {
        const end = alike(run, ops, at);
        if (end - at >= GROUP && end - at < ops.length + (depth ? 0 : 1)) {
            const members = ops.slice(at, end);
            const key = `g${ops[at]}`;
            const isOpen = toggled.has(key);
            const label = within(run.stem(ops[at]), around);
            rows.push({ key, op: ops[at], label, depth, members, isOpen });
            if (isOpen) for (const op of members) single(run, op, depth + 1, toggled, rows, around);
        } else {
            for (const op of ops.slice(at, end)) single(run, op, depth, toggled, rows, around);
        }
        at = end;
    }
}

/** End of the operations from `at` on that are alike. */
function alike(run: Run, ops: number[], at: number): number {
    const wanted = run.stem(ops[at]);
    let end = at + 1;
    while (end < ops.length && run.kind[ops[end]] === run.kind[ops[at]] && run.stem(ops[end]) === wanted) end++;
    return end;
}

function single(run: Run, op: number, depth: number, toggled: Set<string>, rows: Row[], around: string) {
    const parts = run.parts.get(op);
    const key = `o${op}`;
    const label = within(run.shown(op), around);
    if (!parts) {
        rows.push({ key, op, label, depth, isOpen: false });
        return;
    }
    const isOpen = toggled.has(key) !== parts.length <= OPEN_PARTS;
    rows.push({ key, op, label, depth, members: run.leaves(op), isOpen });
    if (isOpen) level(run, parts, depth + 1, toggled, rows, run.shown(op));
}

/** The name without that of the operation around it. */
function within(name: string, around: string): string {
    return around && name.startsWith(around) ? name.slice(around.length).replace(/^\//, "") : name;
}
