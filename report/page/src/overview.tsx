// The run as a whole: outcome, counts, figures, what took long, inputs and files.

import { useMemo, useState } from "preact/hooks";
import { Command, Section, StateMark } from "./common";
import type { FileRow, Run } from "./data";
import { FAILED, STATE_LABELS, STATES, WAIT_LABELS, WAITS } from "./data";
import { usageText } from "./details";
import { bytes, clock, count, duration, percent, plural } from "./format";
import { share } from "./timeline";

const OUTCOMES: Record<string, [string, string, string]> = {
    succeeded: ["good", "✓", "Succeeded"],
    failed: ["bad", "✕", "Failed"],
    deadLettered: ["warn", "☠", "Ended with dead letters"],
    fatal: ["bad", "✕", "Ended by a fatal failure"],
    timeLimit: ["bad", "◷", "Ended by its time limit"],
    interrupted: ["warn", "⊘", "Interrupted"],
    terminated: ["warn", "⊘", "Terminated"],
    stuck: ["bad", "✕", "Stuck"],
    running: ["busy", "●", "Running"],
    stopped: ["warn", "⊘", "Stopped before its end"],
};

export function Head({ run, live }: { run: Run; live: string | null }) {
    const { head } = run;
    const [tone, mark, words] = OUTCOMES[head.outcome ?? head.state] ?? ["warn", "?", head.outcome ?? ""];
    const lineage = [
        head.rerunOf ? `rerun of ${head.rerunOf}` : "",
        head.replayOf ? `replays the dead letter ${head.replayOf}` : "",
        head.resumed ? `resumed ${plural(head.resumed, "time")}` : "",
        ...head.reusedFrom.map(([name, results]) => `${plural(results, "result")} reused from ${name}`),
    ].filter(Boolean);
    return (
        <header class={`run-head t-${tone}`}>
            <span class="badge" aria-hidden="true">
                {mark}
            </span>
            <div class="titles">
                <h1>
                    <span class="outcome">{words}</span> <bdi>{head.agenda}</bdi>
                </h1>
                <p class="soft">
                    run <code>{head.run}</code> · {clock(head.started)} · {head.launcher}
                    {head.state === "stopped" ? " · no process executes it" : ""}
                    {live ? <span class="live"> · {live}</span> : null}
                </p>
                {lineage.length ? <p class="soft">{lineage.join(" · ")}</p> : null}
                {head.next ? (
                    <div class="repeat">
                        <span class="soft">Continue</span>
                        <Command text={head.next} />
                    </div>
                ) : null}
            </div>
        </header>
    );
}

interface CountProps {
    run: Run;
    states: Set<number>;
    toggle: (state: number) => void;
}

/** The numbers of operations in each state, as a bar and as filters. */
export function Counts({ run, states, toggle }: CountProps) {
    const total = run.counts.reduce((sum, value) => sum + value, 0);
    const order = [8, 7, 6, 4, 5, 3, 2, 1, 0].filter((state) => run.counts[state]);
    return (
        <div class="counts">
            <div class="count-bar" aria-hidden="true">
                {order.map((state) => (
                    <i
                        key={state}
                        class={`s-${STATES[state]}`}
                        style={{ flexGrow: String(run.counts[state]), opacity: states.size && !states.has(state) ? "0.25" : "1" }}
                    />
                ))}
            </div>
            <div class="filters" role="group" aria-label="Filter by state">
                {order.map((state) => (
                    <button type="button" key={state} aria-pressed={states.has(state)} onClick={() => toggle(state)} data-state={STATES[state]}>
                        <StateMark state={state} />
                        <b>{count(run.counts[state])}</b>
                        <span class="soft">{percent(run.counts[state], total)}</span>
                    </button>
                ))}
            </div>
        </div>
    );
}

export function Figures({ run }: { run: Run }) {
    const { head } = run;
    const figures = useMemo(() => {
        let [attempts, retried, done, all] = [0, 0, 0, 0];
        for (let op = 0; op < run.count; op++) {
            attempts += run.tries[op];
            retried += Math.max(0, run.tries[op] - 1);
            all++;
            if (run.settled[op] >= 0) done++;
        }
        return { attempts, retried, done, all };
    }, [run.version]);
    const ran = head.path.reduce((sum, step) => sum + step[1], 0);
    return (
        <dl class="figures">
            <Figure name="Time" value={duration(head.until)} note={head.outcome ? "from start to end" : head.state === "running" ? "until now" : "until its executor died"} />
            <Figure
                name="Operations"
                value={count(figures.all)}
                note={figures.done === figures.all ? "all settled" : `${count(figures.done)} settled`}
            />
            <Figure
                name="Attempts"
                value={count(figures.attempts)}
                note={figures.retried ? `${count(figures.retried)} repeated` : "none repeated"}
            />
            <Figure name="Slots in use" value={share(run)} note={`of ${plural(head.parallel, "slot")}, on average`} />
            {head.path.length ? (
                <Figure
                    name="Critical path"
                    value={duration(ran)}
                    note={`${percent(ran, head.until)} of the time, ${plural(head.path.length, "operation")}`}
                />
            ) : null}
            {head.usage?.cpuMs !== undefined ? (
                <Figure name="CPU time" value={duration(head.usage.cpuMs)} note={`${(head.usage.cpuMs / Math.max(1, head.until)).toFixed(1)} cores on average`} />
            ) : null}
            {head.usage?.peakMemoryBytes !== undefined ? (
                <Figure name="Peak memory" value={bytes(head.usage.peakMemoryBytes)} note="largest of one attempt" />
            ) : null}
            {head.usage?.readBytes !== undefined || head.usage?.writtenBytes !== undefined ? (
                <Figure
                    name="Storage"
                    value={bytes((head.usage.readBytes ?? 0) + (head.usage.writtenBytes ?? 0))}
                    note={[
                        head.usage.readBytes !== undefined ? `read ${bytes(head.usage.readBytes)}` : "",
                        head.usage.writtenBytes !== undefined ? `wrote ${bytes(head.usage.writtenBytes)}` : "",
                    ]
                        .filter(Boolean)
                        .join(", ")}
                />
            ) : null}
        </dl>
    );
}

function Figure({ name, value, note }: { name: string; value: string; note: string }) {
    return (
        <div class="card figure">
            <dt>{name}</dt>
            <dd>
                <b>{value}</b>
                <span class="soft">{note}</span>
            </dd>
        </div>
    );
}

/** What took the time: slowest operations, waits, critical path. */
export function Slow({ run, select }: { run: Run; select: (op: number) => void }) {
    const slowest = useMemo(() => slowestOf(run, 10), [run.version]);
    const waits = useMemo(() => waitTotals(run), [run.version]);
    if (!slowest.length) return null;
    const most = Math.max(1, run.took(slowest[0]));
    const longest = Math.max(1, ...waits.map((wait) => wait.total));
    const usage = slowest.some((op) => run.more.get(op)?.usage);
    return (
        <div class="two">
            <Section id="slowest" title="Slowest operations">
                <ol class="card ranks">
                    {slowest.map((op) => (
                        <li key={op}>
                            <button type="button" class="link cut" onClick={() => select(op)}>
                                <StateMark state={run.state[op]} label={false} />
                                <bdi>{run.shown(op)}</bdi>
                            </button>
                            <span class="value">{duration(run.took(op))}</span>
                            <i class="rank-bar" style={{ width: `${(100 * run.took(op)) / most}%` }} />
                            {usage ? <span class="soft">{run.more.get(op)?.usage?.map((one) => usageText(one[1])).pop()}</span> : null}
                        </li>
                    ))}
                </ol>
            </Section>
            <Section id="waits" title="Waits" note={<span class="soft">sum over operations, dependencies aside</span>}>
                <div class="card ranks">
                    {waits.map((wait) => (
                        <div key={wait.kind} class="rank">
                            <span>
                                <i class="swatch" style={{ background: `var(--w-${WAITS[wait.kind]})` }} /> {WAIT_LABELS[wait.kind]}
                            </span>
                            <span class="value">{duration(wait.total)}</span>
                            <i class="rank-bar" style={{ width: `${(100 * wait.total) / longest}%`, background: `var(--w-${WAITS[wait.kind]})` }} />
                        </div>
                    ))}
                    {waits.length ? null : <p class="empty">No operation waited.</p>}
                </div>
                <Path run={run} select={select} />
            </Section>
        </div>
    );
}

/** Steps of the critical path that are listed at first. */
const STEPS = 8;

function Path({ run, select }: { run: Run; select: (op: number) => void }) {
    const [isLong, setLong] = useState(false);
    const { path } = run.head;
    if (path.length < 2) return null;
    const shown = isLong ? path.slice(0, 500) : path.slice(0, STEPS);
    return (
        <>
            <h3 class="path-title">Critical path</h3>
            <ol class="card path">
                {shown.map(([op, ran, waited]) => (
                    <li key={op}>
                        <button type="button" class="link cut" onClick={() => select(op)}>
                            <bdi>{run.shown(op)}</bdi>
                        </button>
                        <span class="value">
                            {waited ? <span class="soft">+ {duration(waited)} wait </span> : null}
                            {duration(ran)}
                        </span>
                    </li>
                ))}
                {path.length > shown.length ? (
                    <li>
                        <button type="button" class="link" onClick={() => setLong(true)}>
                            {count(path.length - shown.length)} more
                        </button>
                    </li>
                ) : null}
            </ol>
        </>
    );
}

export function Inputs({ run }: { run: Run }) {
    if (!run.head.inputs.length) return null;
    return (
        <Section id="inputs" title="Inputs">
            <dl class="card inputs">
                {run.head.inputs.map(([name, value]) => (
                    <div key={name}>
                        <dt>{name}</dt>
                        <dd>
                            <code>{value}</code>
                        </dd>
                    </div>
                ))}
            </dl>
        </Section>
    );
}

const FILES = 50;

/** The files that operations have written. */
export function Files({ run, select }: { run: Run; select: (op: number) => void }) {
    const [shown, setShown] = useState(FILES);
    const files = useMemo(() => {
        const list: [op: number, file: FileRow][] = [];
        for (const [op, more] of [...run.more].sort((one, other) => one[0] - other[0]))
            for (const file of more.files?.written ?? []) list.push([op, file]);
        return list;
    }, [run.version]);
    if (!files.length) return null;
    return (
        <Section id="files" title="Files written" note={<span class="soft">{plural(files.length, "file")}, digests are BLAKE3</span>}>
            <div class="card scroll">
                <table class="plain">
                    <thead>
                        <tr>
                            <th>File</th>
                            <th>Size</th>
                            <th>Digest</th>
                            <th>Operation</th>
                        </tr>
                    </thead>
                    <tbody>
                        {files.slice(0, shown).map(([op, [path, size, digest]], at) => (
                            <tr key={at}>
                                <td>
                                    <bdi>{path}</bdi>
                                </td>
                                <td class="value">{bytes(size)}</td>
                                <td>
                                    <code title={digest}>{digest.slice(0, 16)}</code>
                                </td>
                                <td>
                                    <button type="button" class="link" onClick={() => select(op)}>
                                        <bdi>{run.shown(op)}</bdi>
                                    </button>
                                </td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            </div>
            {files.length > shown ? (
                <button type="button" class="wide" onClick={() => setShown(shown + 500)}>
                    Show more of {count(files.length - shown)}
                </button>
            ) : null}
            {run.leftOut[1] ? <p class="soft">{plural(run.leftOut[1], "file")} had no room in this page: `pop show` has them.</p> : null}
        </Section>
    );
}

function slowestOf(run: Run, most: number): number[] {
    const all: [took: number, op: number][] = [];
    for (let op = 0; op < run.count; op++) if (run.tries[op]) all.push([run.took(op), op]);
    all.sort((one, other) => other[0] - one[0] || one[1] - other[1]);
    return all.slice(0, most).map(([, op]) => op);
}

function waitTotals(run: Run): { kind: number; total: number }[] {
    const totals = WAITS.map(() => 0);
    for (let op = 0; op < run.count; op++) {
        run.eachWait(op, (kind, took) => {
            totals[kind] += took;
        });
    }
    const list = totals.map((total, kind) => ({ kind, total })).filter((wait) => wait.total > 0);
    return list.filter((wait) => wait.kind).sort((one, other) => other.total - one.total);
}

/** Words for the state of the whole run, for readers that see no colours. */
export function summaryOf(run: Run): string {
    const parts = run.counts.map((value, state) => (value ? `${count(value)} ${STATE_LABELS[state]}` : "")).filter(Boolean);
    return parts.join(", ") || STATE_LABELS[FAILED];
}
