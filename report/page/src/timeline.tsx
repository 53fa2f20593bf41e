// The timeline: attempts and waits of operations over time.

import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { Section } from "./common";
import type { Run } from "./data";
import { ENDINGS, STATE_LABELS, STATES, WAIT_LABELS, WAITS } from "./data";
import { count, duration, percent, plural } from "./format";
import { load, paintAxis, paintOverview, paintRows, palette, ROW, type View } from "./paint";
import { type Row, timelineRows } from "./rows";
import { useVirtual } from "./virtual";

interface Props {
    run: Run;
    /** Operations that search and filter leave; none for all. */
    only?: number[];
    select: (op: number) => void;
}

interface Tip {
    x: number;
    y: number;
    lines: string[];
}

export function Timeline({ run, only, select }: Props) {
    const end = Math.max(1, run.head.until);
    const [zoom, setZoom] = useState<View | null>(null);
    const [toggled, setToggled] = useState(new Set<string>());
    const [tip, setTip] = useState<Tip | null>(null);
    const [showsPath, setShowsPath] = useState(true);
    const view = zoom ?? { from: 0, until: end };
    const rows = useMemo(() => timelineRows(run, toggled, only), [run, run.version, toggled, only]);
    const path = useMemo(() => new Set(showsPath ? run.head.path.map((step) => step[0]) : []), [run.version, showsPath]);
    const toggle = (row: Row) => {
        const next = new Set(toggled);
        if (!next.delete(row.key)) next.add(row.key);
        setToggled(next);
    };
    const open = (at: number) => {
        const row = rows[at];
        if (!row) return;
        if (row.key.startsWith("g")) toggle(row);
        else select(row.op);
    };
    const virtual = useVirtual(rows.length, ROW, open, (at, isOpen) => {
        const row = rows[at];
        if (row?.members && row.isOpen !== isOpen) toggle(row);
    });
    const bars = useRef<HTMLCanvasElement>(null);
    const axis = useRef<HTMLCanvasElement>(null);
    const overview = useRef<HTMLCanvasElement>(null);
    const [width, setWidth] = useState(0);
    useLayoutEffect(() => {
        const canvas = overview.current;
        if (!canvas) return;
        const measure = () => setWidth(canvas.clientWidth);
        measure();
        const observer = new ResizeObserver(measure);
        observer.observe(canvas);
        return () => observer.disconnect();
    }, []);
    const total = useMemo(
        () => load(run, null, { from: 0, until: end }, Math.max(1, Math.min(2000, width))),
        [run.version, width, end],
    );
    useLayoutEffect(() => {
        const colors = palette();
        if (overview.current) paintOverview(overview.current, run, total, view, colors);
        if (axis.current) paintAxis(axis.current, view, colors);
        if (bars.current) {
            const { first, last, top, active } = virtual;
            paintRows(bars.current, run, { rows, first, last, top, active }, view, path, colors);
        }
    });
    const show = (from: number, until: number) => {
        const span = Math.min(end, Math.max(5, until - from));
        const first = Math.max(0, Math.min(end - span, from));
        setZoom(span >= end ? null : { from: first, until: first + span });
    };
    const zoomBy = (factor: number, around = 0.5) => {
        const span = view.until - view.from;
        const fixed = view.from + span * around;
        show(fixed - span * factor * around, fixed + span * factor * (1 - around));
    };
    const shift = (by: number) => {
        const span = view.until - view.from;
        show(view.from + span * by, view.until + span * by);
    };
    const keys = (event: KeyboardEvent) => {
        const acts: Record<string, () => void> = {
            "+": () => zoomBy(0.5),
            "-": () => zoomBy(2),
            "0": () => setZoom(null),
            "<": () => shift(-0.25),
            ">": () => shift(0.25),
        };
        const act = acts[event.key];
        if (act && !event.ctrlKey && !event.metaKey) {
            act();
            event.preventDefault();
        } else virtual.onKeyDown(event);
    };
    const wheel = (event: WheelEvent) => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const box = bars.current?.getBoundingClientRect();
        if (box) zoomBy(event.deltaY > 0 ? 1.25 : 0.8, Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)));
    };
    const point = (event: PointerEvent) => {
        const [box, outer] = [bars.current?.getBoundingClientRect(), virtual.box.current?.getBoundingClientRect()];
        if (!box || !outer || event.clientX < box.left || event.clientX > box.right) return setTip(null);
        const row = rows[Math.floor((event.clientY - box.top + virtual.top) / ROW)];
        if (!row) return setTip(null);
        const time = view.from + ((event.clientX - box.left) / box.width) * (view.until - view.from);
        const lines = tipLines(run, row, time, (4 * (view.until - view.from)) / box.width);
        setTip({ x: event.clientX - outer.left, y: event.clientY - outer.top, lines });
    };
    const brush = useBrush(overview, end, show);
    const used = usedKinds(run);
    const height = Math.max(2, Math.min(rows.length, 22)) * ROW;
    return (
        <Section
            id="timeline"
            title="Timeline"
            note={
                <>
                    <label class="check">
                        <input type="checkbox" checked={showsPath} onChange={() => setShowsPath(!showsPath)} /> critical path
                    </label>
                    <span class="buttons" role="group" aria-label="Zoom">
                        <button type="button" onClick={() => zoomBy(0.5)} aria-label="Zoom in">
                            +
                        </button>
                        <button type="button" onClick={() => zoomBy(2)} aria-label="Zoom out" disabled={!zoom}>
                            −
                        </button>
                        <button type="button" onClick={() => setZoom(null)} disabled={!zoom}>
                            All
                        </button>
                    </span>
                </>
            }
        >
            <div class="card timeline">
                <div class="time-head">
                    <div class="time-label">
                        <span>running operations</span>
                        {run.head.parallel ? (
                            <span class="soft">dashed: {plural(run.head.parallel, "slot")}</span>
                        ) : null}
                    </div>
                    <canvas
                        ref={overview}
                        class="overview"
                        role="img"
                        aria-label="Number of running operations over the time of the run; drag to choose a time"
                        {...brush}
                    />
                    <div class="time-label soft">time since the start</div>
                    <canvas ref={axis} class="axis" aria-hidden="true" />
                </div>
                <div
                    class="time-body"
                    style={{ height: `${height}px` }}
                    onPointerMove={point}
                    onPointerLeave={() => setTip(null)}
                    onWheel={wheel}
                >
                    <div
                        ref={virtual.box}
                        class="time-rows"
                        role="tree"
                        tabIndex={0}
                        aria-label="Operations over time"
                        aria-activedescendant={virtual.active >= 0 ? `row-${rows[virtual.active].key}` : undefined}
                        onScroll={virtual.onScroll}
                        onKeyDown={keys}
                    >
                        <div class="spacer" style={{ height: `${rows.length * ROW}px` }} />
                        {rows.slice(virtual.first, virtual.last).map((row, index) => (
                            <TimeRow
                                key={row.key}
                                run={run}
                                row={row}
                                top={(virtual.first + index) * ROW}
                                isActive={virtual.first + index === virtual.active}
                                isOnPath={path.has(row.op) && !row.members}
                                onFold={() => toggle(row)}
                                onOpen={() => {
                                    virtual.activate(virtual.first + index);
                                    open(virtual.first + index);
                                }}
                            />
                        ))}
                    </div>
                    <canvas ref={bars} class="bars" role="img" aria-label="Bars of attempts and waits; the list of operations has the same times" />
                    {tip ? (
                        <div class="tip" style={{ left: `${tip.x}px`, top: `${tip.y}px` }} data-side={tip.x > 500 ? "left" : "right"}>
                            {tip.lines.map((line, index) => (
                                <div key={index}>{line}</div>
                            ))}
                        </div>
                    ) : null}
                </div>
                <div class="legend">
                    {used.endings.map((ending) => (
                        <span key={ending}>
                            <i class="swatch" style={{ background: `var(--e-${ENDINGS[ending]})` }} />
                            {ENDINGS[ending]}
                        </span>
                    ))}
                    {used.waits.map((wait) => (
                        <span key={wait}>
                            <i class="swatch thin" style={{ background: `var(--w-${WAITS[wait]})` }} />
                            waits for {WAIT_LABELS[wait]}
                        </span>
                    ))}
                    {showsPath && run.head.path.length > 1 ? (
                        <span>
                            <i class="swatch path" />
                            critical path
                        </span>
                    ) : null}
                </div>
            </div>
        </Section>
    );
}

interface RowProps {
    run: Run;
    row: Row;
    top: number;
    isActive: boolean;
    isOnPath: boolean;
    onFold: () => void;
    onOpen: () => void;
}

function TimeRow({ run, row, top, isActive, isOnPath, onFold, onOpen }: RowProps) {
    const members = row.members;
    const failed = members?.filter((op) => run.state[op] <= 1).length ?? 0;
    const isGroup = row.key.startsWith("g");
    const state = isGroup ? groupState(run, members ?? []) : run.state[row.op];
    return (
        <div
            id={`row-${row.key}`}
            class={`time-row${isActive ? " active" : ""}`}
            role="treeitem"
            aria-level={row.depth + 1}
            aria-expanded={members ? row.isOpen : undefined}
            aria-selected={isActive}
            style={{ top: `${top}px` }}
            onClick={onOpen}
        >
            <div class="time-name" style={{ paddingLeft: `${8 + row.depth * 14}px` }} title={row.label}>
                {members ? (
                    <button
                        type="button"
                        class="fold"
                        tabIndex={-1}
                        aria-label={row.isOpen ? "Fold" : "Unfold"}
                        onClick={(event) => {
                            event.stopPropagation();
                            onFold();
                        }}
                    >
                        {row.isOpen ? "▾" : "▸"}
                    </button>
                ) : null}
                <i class={`dot s-${STATES[state]}`} aria-hidden="true" />
                <span class="hidden">{STATE_LABELS[state]}: </span>
                <bdi class={`cut${isOnPath ? " on-path" : ""}`}>{row.label}</bdi>
                {members ? (
                    <span class="soft times">
                        ×{count(isGroup ? members.length : (run.parts.get(row.op)?.length ?? 0))}
                        {failed ? <span class="bad"> {count(failed)} failed</span> : null}
                    </span>
                ) : null}
            </div>
        </div>
    );
}

/** The most important state of some operations. */
export function groupState(run: Run, members: number[]): number {
    let state = STATES.length - 1;
    for (const op of members) state = Math.min(state, run.state[op]);
    return state;
}

function tipLines(run: Run, row: Row, time: number, near: number): string[] {
    if (row.members) {
        let running = 0;
        for (const op of row.members)
            for (let at = run.firstTry[op]; at < run.firstTry[op] + run.tries[op]; at++)
                if (run.tryStart[at] <= time && time <= run.tryEnd[at]) running++;
        return [row.label, `${plural(row.members.length, "operation")}, ${count(running)} running at ${duration(time)}`];
    }
    const lines = [run.shown(row.op)];
    for (const attempt of run.attempts(row.op)) {
        for (const wait of attempt.waits) {
            if (wait.from <= time && time < wait.until)
                lines.push(`waited ${duration(wait.until - wait.from)} for ${WAIT_LABELS[wait.kind]}`);
        }
        if (attempt.start - near <= time && time <= attempt.end + near) {
            const many = run.tries[row.op] > 1 ? `attempt ${attempt.number} ` : "";
            lines.push(`${many}${ENDINGS[attempt.ending]}, ${duration(attempt.end - attempt.start)}`);
            lines.push(`from ${duration(attempt.start)} to ${duration(attempt.end)}`);
        }
    }
    for (const wait of run.waitsAfter(row.op))
        if (wait.from <= time && time < wait.until)
            lines.push(`waits ${duration(wait.until - wait.from)} for ${WAIT_LABELS[wait.kind]}`);
    if (lines.length === 1) lines.push(STATE_LABELS[run.state[row.op]]);
    const failure = run.failure(row.op);
    if (failure && run.state[row.op] <= 1) lines.push(failure.message.slice(0, 120));
    return lines;
}

function usedKinds(run: Run): { endings: number[]; waits: number[] } {
    return useMemo(() => {
        const [endings, waits] = [new Set<number>(), new Set<number>()];
        for (let op = 0; op < run.count; op++) {
            for (let at = run.firstTry[op]; at < run.firstTry[op] + run.tries[op]; at++) endings.add(run.tryEnding[at]);
            run.eachWait(op, (kind, took) => took && waits.add(kind));
        }
        const sorted = (set: Set<number>) => [...set].sort((one, other) => one - other);
        return { endings: sorted(endings), waits: sorted(waits) };
    }, [run.version]);
}

/** Chooses a time by dragging in the overview; a double click shows all. */
function useBrush(canvas: { current: HTMLCanvasElement | null }, end: number, show: (from: number, until: number) => void) {
    const from = useRef<number | null>(null);
    const at = (event: PointerEvent) => {
        const box = canvas.current?.getBoundingClientRect();
        return box ? Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * end : 0;
    };
    return {
        onPointerDown: (event: PointerEvent) => {
            from.current = at(event);
            canvas.current?.setPointerCapture(event.pointerId);
        },
        onPointerMove: (event: PointerEvent) => {
            const begin = from.current;
            if (begin === null) return;
            const now = at(event);
            if (Math.abs(now - begin) > end / 200) show(Math.min(begin, now), Math.max(begin, now));
        },
        onPointerUp: () => {
            from.current = null;
        },
        onDblClick: () => show(0, end),
    };
}

export function share(run: Run): string {
    let ran = 0;
    for (let op = 0; op < run.count; op++) if (!run.whole[op]) ran += run.took(op);
    return percent(ran, run.head.until * run.head.parallel);
}
