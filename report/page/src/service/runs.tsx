// The list of agendas, the newest first.

import { useEffect, useState } from "preact/hooks";
import { duration } from "../format";
import { call } from "./api";
import { useData, useNow } from "./live";
import { RUN_STATES, type RunRow, type Stored } from "./model";
import { AgendaLink, agendaName, PageTitle, Percent, RunMark, Show, Table, Text, Time } from "./parts";
import { address, go } from "./route";
import { shown } from "./text";

interface Page {
    items: RunRow[];
    next: number | null;
}

/** Wait after the last key before a text is looked for. */
const PAUSE_MS = 300;

export function Runs({ query }: { query: URLSearchParams }) {
    const filter = {
        state: query.get("state") ?? "",
        customerId: query.get("customerId") ?? "",
        insightId: query.get("insightId") ?? "",
        text: query.get("text") ?? "",
        before: query.get("before") ?? "",
    };
    const words = new URLSearchParams(Object.entries(filter).filter(([, value]) => value)).toString();
    const loaded = useData<Page>(words, (signal) => call(`runs?${words}`, { signal }));
    const set = (change: Partial<typeof filter>) => go(address("", "", { ...filter, before: "", ...change }), true);
    const now = useNow();
    const isFiltered = !!(filter.state || filter.customerId || filter.insightId || filter.text);
    return (
        <>
            <PageTitle title="Agendas" />
            <Filters filter={filter} set={set} />
            <Show loaded={loaded}>
                {({ items, next }) => (
                    <>
                        <Table
                            heads={[
                                "State",
                                "Agenda",
                                ["Customer", "wide-only"],
                                ["Insight", "wide-only"],
                                "Progress",
                                ["Submitted", "mid-only"],
                                ["Time", "mid-only num"],
                                ["Attempts", "wide-only num"],
                            ]}
                            items={items}
                            row={(row) => <Row key={row.agendaId} row={row} now={now} />}
                            empty={
                                <>
                                    {isFiltered ? "No agenda matches." : filter.before ? "There are no older agendas." : "There are no agendas yet. "}
                                    {!isFiltered && !filter.before ? <a href="#/submit">Submit one</a> : null}
                                </>
                            }
                        />
                        <nav class="pager" aria-label="Pages of the list">
                            {filter.before ? (
                                <button type="button" class="button" onClick={() => set({})}>
                                    Newest
                                </button>
                            ) : null}
                            {next !== null ? (
                                <a class="button" href={address("", "", { ...filter, before: String(next) })}>
                                    Older
                                </a>
                            ) : null}
                        </nav>
                    </>
                )}
            </Show>
        </>
    );
}

function Row({ row, now }: { row: RunRow; now: number }) {
    const end = row.completedTime ?? (row.state === "running" ? now : undefined);
    const took = row.startedTime && end ? Math.max(0, end - row.startedTime) : null;
    return (
        <tr>
            <td>
                <RunMark state={row.state} />
            </td>
            <th scope="row">
                <AgendaLink row={row} />
                {row.state === "running" && row.processingStateMessage ? (
                    <span class="soft sub cut">
                        <Text value={row.processingStateMessage} most={120} />
                    </span>
                ) : null}
            </th>
            <td class="wide-only">
                <Text value={row.customerId} most={80} />
            </td>
            <td class="wide-only">
                <Text value={row.insightId} most={80} />
            </td>
            <td>
                <Percent value={row.percentComplete ?? 0} label={`Progress of ${agendaName(row)}`} />
            </td>
            <td class="mid-only">
                <Time at={row.addedTime} />
            </td>
            <td class="mid-only num">{took === null ? <span class="soft">–</span> : duration(took)}</td>
            <td class="wide-only num">
                {row.attempts}/{row.maximumAttempts}
            </td>
        </tr>
    );
}

interface FilterProps {
    filter: { state: string; customerId: string; insightId: string; text: string };
    set: (change: Record<string, string>) => void;
}

function Filters({ filter, set }: FilterProps) {
    const [text, setText] = useState(filter.text);
    useEffect(() => setText(filter.text), [filter.text]);
    useEffect(() => {
        if (text === filter.text) return;
        const timer = setTimeout(() => set({ text }), PAUSE_MS);
        return () => clearTimeout(timer);
    }, [text]);
    const chosen = new Set(filter.state.split(",").filter(Boolean));
    const toggle = (state: string) => {
        const next = new Set(chosen);
        if (!next.delete(state)) next.add(state);
        set({ state: [...next].join(",") });
    };
    return (
        <div class="tools">
            <div class="filters" role="group" aria-label="Filter by state">
                {RUN_STATES.map((state) => (
                    <button type="button" key={state} aria-pressed={chosen.has(state)} onClick={() => toggle(state)}>
                        <RunMark state={state} />
                    </button>
                ))}
            </div>
            <Choice kind="customers" label="Customer" value={filter.customerId} set={(customerId) => set({ customerId })} />
            <Choice kind="insights" label="Insight" value={filter.insightId} set={(insightId) => set({ insightId })} />
            <label class="search">
                <span class="hidden">Title, id, link id or correlation id</span>
                <input
                    type="search"
                    placeholder="Title, id, link id…"
                    value={text}
                    onInput={(event) => setText(event.currentTarget.value)}
                />
            </label>
        </div>
    );
}

/** A choice of one object, or of all. */
export function Choice({ kind, label, value, set }: { kind: string; label: string; value: string; set: (id: string) => void }) {
    const { data } = useData<{ items: Stored[] }>(kind, (signal) => call(`${kind}?byFields=id,title&bylimit=500`, { signal }));
    const items = data?.items ?? [];
    const isKnown = !value || items.some((item) => item.id === value);
    return (
        <label class="choice">
            <span class="hidden">{label}</span>
            <select value={value} onChange={(event) => set(event.currentTarget.value)}>
                <option value="">{label}: all</option>
                {isKnown ? null : <option value={value}>{shown(value, 80)}</option>}
                {items.map((item) => (
                    <option key={item.id} value={item.id}>
                        {shown(item.title || item.id, 80)}
                    </option>
                ))}
            </select>
        </label>
    );
}
