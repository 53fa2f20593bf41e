// One run with all its sections: search, filters, failures, timeline, graph, operations. The report and the pages of the
// agenda service show it.

import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Run } from "./data";
import { STATES } from "./data";
import { Details } from "./details";
import { Failures } from "./failures";
import { GraphView } from "./graph-view";
import { Counts, Figures, Files, Inputs, Slow, summaryOf } from "./overview";
import { Table } from "./table";
import { Timeline } from "./timeline";

export interface RunViewProps {
    run: Run;
    /** Changes with the run. */
    version: number;
    /** Buttons at the end of the bar. */
    tools?: ComponentChildren;
    /** What stands above the sections. */
    head?: ComponentChildren;
    /** What acts on keys beside those of the run: a key, and the action. */
    keys?: Record<string, () => void>;
    /** Heading of the commands of an operation; none: its run is nowhere that commands could find it. */
    commands?: string;
    /** The log of an operation. */
    log?: (op: number) => ComponentChildren;
    /** Number of executors is not known, so neither are slots and waits. */
    isRough?: boolean;
}

export function RunView({ run, version, tools, head, keys, commands, log, isRough }: RunViewProps) {
    const [query, setQuery] = useState("");
    const [states, setStates] = useState(new Set<number>());
    const [picked, setPicked] = useState<number[] | null>(null);
    const [selected, setSelected] = useState(-1);
    const [help, setHelp] = useState(false);
    const search = useRef<HTMLInputElement>(null);
    const matches = useMemo(() => find(run, query, states, picked), [run, version, query, states, picked]);
    const isFiltered = query.trim() !== "" || states.size > 0 || picked !== null;
    const clear = () => {
        setQuery("");
        setStates(new Set());
        setPicked(null);
    };
    const toggle = (state: number) => {
        const next = new Set(states);
        if (!next.delete(state)) next.add(state);
        setStates(next);
    };
    const go = (id: string) => document.getElementById(id)?.scrollIntoView({ block: "start" });
    const filter = (text: string) => {
        clear();
        setQuery(text);
        go("operations");
    };
    const only = (ops: number[]) => {
        clear();
        setPicked(ops);
        go("operations");
    };
    const nextFailure = (step: number) => {
        const failed: number[] = [];
        for (let op = 0; op < run.count; op++) if (run.state[op] <= 1 && !run.parts.has(op)) failed.push(op);
        if (!failed.length) return;
        const at = failed.indexOf(selected);
        setSelected(failed[at < 0 ? (step > 0 ? 0 : failed.length - 1) : (at + step + failed.length) % failed.length]);
    };
    useEffect(() => {
        const onKey = (event: KeyboardEvent) => {
            const target = event.target as HTMLElement;
            if (target.closest("dialog")) return;
            if (event.key === "Escape") {
                if (help) setHelp(false);
                else if (selected >= 0) setSelected(-1);
                else if (isFiltered) clear();
                return;
            }
            if (target.closest("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
            const acts: Record<string, () => void> = {
                "/": () => search.current?.focus(),
                f: () => nextFailure(1),
                F: () => nextFailure(-1),
                "?": () => setHelp(!help),
                g: () => go("graph"),
                o: () => go("operations"),
                ...keys,
            };
            const act = acts[event.key];
            if (!act) return;
            act();
            event.preventDefault();
        };
        document.addEventListener("keydown", onKey);
        return () => document.removeEventListener("keydown", onKey);
    });
    const hasFailures = run.counts[0] + run.counts[1] > 0;
    // links to parts of the page would change the address, which the pages of the service use
    const part = (id: string, name: string) => (
        <a
            href={`#${id}`}
            onClick={(event) => {
                event.preventDefault();
                go(id);
            }}
        >
            {name}
        </a>
    );
    return (
        <div class={selected >= 0 ? "with-details" : ""}>
            <div class="bar">
                <nav aria-label="Parts of the run">
                    {hasFailures ? part("failures", "Failures") : null}
                    {part("timeline", "Timeline")}
                    {part("graph", "Graph")}
                    {part("operations", "Operations")}
                    {part("slowest", "Time")}
                </nav>
                <label class="search">
                    <span class="hidden">Search operations, types and failures</span>
                    <input
                        ref={search}
                        type="search"
                        placeholder="Search operations…  /"
                        value={query}
                        onInput={(event) => {
                            setPicked(null);
                            setQuery(event.currentTarget.value);
                        }}
                        onKeyDown={(event) => {
                            if (event.key === "Enter") go("operations");
                        }}
                    />
                </label>
                {tools}
                <button type="button" class="icon" aria-label="Keys" title="Keys" aria-expanded={help} onClick={() => setHelp(!help)}>
                    ?
                </button>
            </div>
            {help ? <Keys /> : null}
            <main id="content">
                {head}
                <p class="hidden" role="status">
                    {summaryOf(run)}
                </p>
                <Counts run={run} states={states} toggle={toggle} />
                {isRough ? null : <Figures run={run} />}
                <Failures run={run} select={setSelected} only={only} />
                <Timeline run={run} only={isFiltered ? matches : undefined} select={setSelected} />
                <GraphView run={run} select={setSelected} filter={filter} />
                <Table run={run} matches={matches} isFiltered={isFiltered} clear={clear} selected={selected} select={setSelected} />
                <Slow run={run} select={setSelected} />
                <Inputs run={run} />
                <Files run={run} select={setSelected} />
            </main>
            {selected >= 0 ? (
                <Details run={run} op={selected} select={setSelected} close={() => setSelected(-1)} commands={commands} log={log?.(selected)} />
            ) : null}
        </div>
    );
}

const KEYS: [string, string][] = [
    ["/", "search"],
    ["f  F", "next, previous failure"],
    ["↑ ↓", "move in a list"],
    ["→ ←", "unfold, fold"],
    ["Enter", "open the details"],
    ["+ − 0", "zoom in the timeline, show all"],
    ["< >", "move in time"],
    ["g  o", "go to graph, operations"],
    ["t", "theme"],
    ["Esc", "close, clear the filter"],
];

function Keys() {
    return (
        <dl class="card keys" aria-label="Keys">
            {KEYS.map(([key, words]) => (
                <div key={key}>
                    <dt>
                        <kbd>{key}</kbd>
                    </dt>
                    <dd>{words}</dd>
                </div>
            ))}
        </dl>
    );
}

/** The operations that a search and a filter leave, in the order of the plan. */
function find(run: Run, query: string, states: Set<number>, picked: number[] | null): number[] {
    const words = query.trim().toLowerCase();
    const found: number[] = [];
    const consider = (op: number) => {
        if (states.size && !states.has(run.state[op])) return;
        if (words && !has(run, op, words)) return;
        found.push(op);
    };
    if (picked) picked.forEach(consider);
    else for (let op = 0; op < run.count; op++) consider(op);
    return found;
}

function has(run: Run, op: number, words: string): boolean {
    if (run.names[op].toLowerCase().includes(words)) return true;
    if (run.labels.get(op)?.toLowerCase().includes(words)) return true;
    if (run.type(op).toLowerCase().includes(words) || STATES[run.state[op]].toLowerCase() === words) return true;
    const failures = run.more.get(op)?.failures;
    return !!failures?.some((one) => one.code.toLowerCase().includes(words) || one.message.toLowerCase().includes(words));
}
