// The list of operations: search, filter and sort; only the visible rows exist.

import { useMemo, useState } from "preact/hooks";
import { Section, StateMark, usePaper } from "./common";
import type { Run } from "./data";
import { count, duration } from "./format";
import { useVirtual } from "./virtual";

interface Props {
    run: Run;
    matches: number[];
    isFiltered: boolean;
    clear: () => void;
    selected: number;
    select: (op: number) => void;
}

type Column = "state" | "name" | "type" | "start" | "took" | "waited" | "tries";

const COLUMNS: [Column, string, string][] = [
    ["state", "State", "c-state"],
    ["name", "Operation", "c-name"],
    ["type", "Type", "c-type"],
    ["start", "Started", "c-num"],
    ["took", "Took", "c-num"],
    ["waited", "Waited", "c-num c-waited"],
    ["tries", "Attempts", "c-num c-tries"],
];
const HEIGHT = 34;
/** Rows that a printed report has. */
const PRINTED = 200;

export function Table({ run, matches, isFiltered, clear, selected, select }: Props) {
    const [sort, setSort] = useState<{ by: Column; down: boolean } | null>(null);
    const sorted = useMemo(() => (sort ? sortBy(run, matches, sort.by, sort.down) : matches), [matches, sort, run.version]);
    const isPaper = usePaper();
    const virtual = useVirtual(sorted.length, HEIGHT, (row) => select(sorted[row]));
    const order = (by: Column) => {
        if (sort?.by !== by) setSort({ by, down: !["name", "type", "state", "start"].includes(by) });
        else setSort(sort.down === !["name", "type", "state", "start"].includes(by) ? { by, down: !sort.down } : null);
    };
    return (
        <Section
            id="operations"
            title="Operations"
            note={
                <span class="soft" role="status">
                    {isFiltered ? `${count(sorted.length)} of ${count(run.count)} ` : `${count(run.count)} `}
                    {isFiltered ? (
                        <button type="button" class="link" onClick={clear}>
                            show all
                        </button>
                    ) : null}
                </span>
            }
        >
            <div class="card grid" role="grid" aria-rowcount={sorted.length + 1} aria-label="Operations">
                <div class="grid-head" role="row" aria-rowindex={1}>
                    {COLUMNS.map(([by, label, style]) => (
                        <div
                            key={by}
                            class={style}
                            role="columnheader"
                            aria-sort={sort?.by === by ? (sort.down ? "descending" : "ascending") : "none"}
                        >
                            <button type="button" onClick={() => order(by)}>
                                {label}
                                <span aria-hidden="true">{sort?.by === by ? (sort.down ? " ↓" : " ↑") : ""}</span>
                            </button>
                        </div>
                    ))}
                </div>
                <div
                    ref={virtual.box}
                    class="grid-body"
                    role="rowgroup"
                    tabIndex={0}
                    aria-label="Rows; arrow keys move, Enter opens"
                    aria-activedescendant={virtual.active >= 0 ? `op-${sorted[virtual.active]}` : undefined}
                    style={{ height: `${Math.max(1, Math.min(sorted.length, 15)) * HEIGHT}px` }}
                    onScroll={virtual.onScroll}
                    onKeyDown={virtual.onKeyDown}
                >
                    <div class="spacer" style={{ height: `${sorted.length * HEIGHT}px` }} />
                    {sorted.slice(virtual.first, virtual.last).map((op, index) => {
                        const at = virtual.first + index;
                        return (
                            <div
                                key={op}
                                id={`op-${op}`}
                                class={`grid-row${at === virtual.active ? " active" : ""}${op === selected ? " selected" : ""}`}
                                role="row"
                                aria-rowindex={at + 2}
                                aria-selected={op === selected}
                                style={{ top: `${at * HEIGHT}px` }}
                                onClick={() => {
                                    virtual.activate(at);
                                    select(op);
                                }}
                            >
                                <Cells run={run} op={op} />
                            </div>
                        );
                    })}
                    {sorted.length ? null : <p class="empty">No operation matches.</p>}
                </div>
            </div>
            {isPaper ? <Printed run={run} ops={sorted} /> : null}
        </Section>
    );
}

function Cells({ run, op }: { run: Run; op: number }) {
    const begin = run.begin(op);
    const waited = run.waited(op);
    const tries = run.tries[op];
    return (
        <>
            <div class="c-state" role="gridcell">
                <StateMark state={run.state[op]} />
            </div>
            <div class="c-name cut" role="gridcell" title={run.shown(op)}>
                <bdi>{run.shown(op)}</bdi>
                {run.parts.has(op) ? <span class="soft"> ×{count(run.parts.get(op)?.length ?? 0)}</span> : null}
            </div>
            <div class="c-type cut" role="gridcell">
                {run.type(op)}
            </div>
            <div class="c-num" role="gridcell">
                {begin < 0 ? "–" : `+${duration(begin)}`}
            </div>
            <div class="c-num" role="gridcell">
                {begin < 0 ? "–" : duration(run.took(op))}
            </div>
            <div class="c-num c-waited" role="gridcell">
                {waited ? duration(waited) : "–"}
            </div>
            <div class="c-num c-tries" role="gridcell">
                {tries || "–"}
            </div>
        </>
    );
}

/** A plain table for paper, on which nothing scrolls. */
function Printed({ run, ops }: { run: Run; ops: number[] }) {
    return (
        <table class="printed">
            <tbody>
                {ops.slice(0, PRINTED).map((op) => (
                    <tr key={op}>
                        <td>
                            <StateMark state={run.state[op]} />
                        </td>
                        <td>
                            <bdi>{run.shown(op)}</bdi>
                        </td>
                        <td>{run.type(op)}</td>
                        <td>{run.begin(op) < 0 ? "–" : duration(run.took(op))}</td>
                    </tr>
                ))}
                {ops.length > PRINTED ? (
                    <tr>
                        <td colSpan={4}>and {count(ops.length - PRINTED)} more</td>
                    </tr>
                ) : null}
            </tbody>
        </table>
    );
}

function sortBy(run: Run, ops: number[], by: Column, down: boolean): number[] {
    const text = by === "name" || by === "type";
    const key = (op: number): number => {
        switch (by) {
            case "state":
                return run.state[op];
            case "start":
                return run.begin(op) < 0 ? Number.MAX_SAFE_INTEGER : run.begin(op);
            case "took":
                return run.took(op);
            case "waited":
                return run.waited(op);
            default:
                return run.tries[op];
        }
    };
    const sorted = ops.slice();
    if (text) {
        const of = (op: number) => (by === "name" ? run.shown(op) : run.type(op));
        const collator = new Intl.Collator("en", { numeric: true });
        const keys = new Map(sorted.map((op) => [op, of(op)]));
        sorted.sort((one, other) => collator.compare(keys.get(one) ?? "", keys.get(other) ?? "") || one - other);
    } else {
        const keys = new Map(sorted.map((op) => [op, key(op)]));
        sorted.sort((one, other) => (keys.get(one) ?? 0) - (keys.get(other) ?? 0) || one - other);
    }
    return down ? sorted.reverse() : sorted;
}
