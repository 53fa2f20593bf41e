// The page of `pop report`: reads its data, shows the run, and follows it if the page is live.

import { render } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { PageData } from "./data";
import { Run, STATES } from "./data";
import { Late } from "./common";
import { Details } from "./details";
import { Failures } from "./failures";
import { clock, count } from "./format";
import { GraphView } from "./graph-view";
import { Counts, Figures, Files, Head, Inputs, Slow, summaryOf } from "./overview";
import { Table } from "./table";
import { Timeline } from "./timeline";

const THEMES = ["auto", "light", "dark"];

function App({ data }: { data: PageData }) {
    const run = useMemo(() => new Run(data), []);
    const [, setVersion] = useState(0);
    const [query, setQuery] = useState("");
    const [states, setStates] = useState(new Set<number>());
    const [picked, setPicked] = useState<number[] | null>(null);
    const [selected, setSelected] = useState(-1);
    const [live, setLive] = useState<string | null>(data.live ? "live" : null);
    const [theme, setTheme] = useTheme();
    const [help, setHelp] = useState(false);
    const search = useRef<HTMLInputElement>(null);
    useEffect(() => {
        if (!data.live) return;
        const source = new EventSource(data.live);
        let [until, at] = [run.head.until, performance.now()];
        source.onopen = () => setLive("live");
        source.onerror = () => setLive("connection lost");
        source.addEventListener("run", (event) => {
            const news = JSON.parse((event as MessageEvent<string>).data) as PageData;
            run.add(news);
            [until, at] = [run.head.until, performance.now()];
            setVersion(run.version);
        });
        // between two changes, what runs goes on
        const tick = () => {
            if (run.head.state !== "running" || document.hidden || source.readyState !== EventSource.OPEN) return;
            run.advance(until + performance.now() - at);
            setVersion(run.version);
        };
        const timer = setInterval(tick, run.count > 5000 ? 5000 : 1000);
        return () => {
            clearInterval(timer);
            source.close();
        };
    }, []);
    const matches = useMemo(() => find(run, query, states, picked), [run, run.version, query, states, picked]);
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
            if (event.key === "Escape") {
                if (help) setHelp(false);
                else if (selected >= 0) setSelected(-1);
                else if (isFiltered) clear();
                return;
            }
            if (target.closest("input, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
            const acts: Record<string, () => void> = {
                "/": () => search.current?.focus(),
                f: () => nextFailure(1),
                F: () => nextFailure(-1),
                t: () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]),
                "?": () => setHelp(!help),
                g: () => go("graph"),
                o: () => go("operations"),
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
    return (
        <div class={selected >= 0 ? "page with-details" : "page"}>
            <a class="skip" href="#operations">
                Skip to the list of operations
            </a>
            <div class="bar">
                <nav aria-label="Parts of the report">
                    {hasFailures ? <a href="#failures">Failures</a> : null}
                    <a href="#timeline">Timeline</a>
                    <a href="#graph">Graph</a>
                    <a href="#operations">Operations</a>
                    <a href="#slowest">Time</a>
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
                <button type="button" class="icon" aria-label={`Theme: ${theme}`} title={`Theme: ${theme}`} onClick={() => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % 3])}>
                    {theme === "auto" ? "◐" : theme === "light" ? "☀" : "☾"}
                </button>
                <button type="button" class="icon" aria-label="Keys" title="Keys" aria-expanded={help} onClick={() => setHelp(!help)}>
                    ?
                </button>
            </div>
            {help ? <Keys /> : null}
            <main>
                <Head run={run} live={run.head.state === "running" ? live : null} />
                <p class="hidden" role="status">
                    {summaryOf(run)}
                </p>
                <Counts run={run} states={states} toggle={toggle} />
                <Figures run={run} />
                <Failures run={run} select={setSelected} only={only} />
                <Timeline run={run} only={isFiltered ? matches : undefined} select={setSelected} />
                <Late id="graph" title="Graph">
                    {() => <GraphView run={run} select={setSelected} filter={filter} />}
                </Late>
                <Table run={run} matches={matches} isFiltered={isFiltered} clear={clear} selected={selected} select={setSelected} />
                <Slow run={run} select={setSelected} />
                <Inputs run={run} />
                <Files run={run} select={setSelected} />
            </main>
            <footer class="soft">
                {count(run.count)} operations · written by pop {run.head.pop} on {clock(run.head.generated)}
            </footer>
            {selected >= 0 ? <Details run={run} op={selected} select={setSelected} close={() => setSelected(-1)} /> : null}
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

/** The theme that the reader chose, or that of the system; paper is always light. */
function useTheme(): [string, (theme: string) => void] {
    const [theme, setTheme] = useState("auto");
    const [, setShown] = useState("");
    useEffect(() => {
        const dark = matchMedia("(prefers-color-scheme: dark)");
        const show = (isPaper = false) => {
            const isDark = !isPaper && (theme === "auto" ? dark.matches : theme === "dark");
            const shown = isDark ? "dark" : "light";
            document.documentElement.dataset.theme = shown;
            // canvases are drawn again in these colours
            setShown(shown);
        };
        const changed = () => show();
        const [before, after] = [() => show(true), () => show()];
        show();
        dark.addEventListener("change", changed);
        addEventListener("beforeprint", before);
        addEventListener("afterprint", after);
        return () => {
            dark.removeEventListener("change", changed);
            removeEventListener("beforeprint", before);
            removeEventListener("afterprint", after);
        };
    }, [theme]);
    return [theme, setTheme];
}

const root = document.getElementById("app");
const text = document.getElementById("data")?.textContent;
if (root && text) {
    document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    render(<App data={JSON.parse(text) as PageData} />, root);
    document.documentElement.dataset.ready = String(Math.round(performance.now()));
}
