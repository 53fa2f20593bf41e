// What waits, in the order in which it is given out, and what runs: who has which lease, and until when.

import { count } from "../format";
import { call } from "./api";
import { useData, useNow } from "./live";
import type { RunRow } from "./model";
import { AgendaLink, PageTitle, Show, Table, Text, Time } from "./parts";
import { address, go } from "./route";
import { Choice } from "./runs";
import { relative } from "./text";

interface QueueData {
    queues: { insightId: string; waiting: number; leased: number }[];
    waiting: RunRow[];
    running: RunRow[];
}

/** Most agendas of each list. */
const MOST = 200;

export function Queue({ query }: { query: URLSearchParams }) {
    const filter = { insightId: query.get("insightId") ?? "", customerId: query.get("customerId") ?? "" };
    const words = new URLSearchParams({ ...filter, limit: String(MOST) }).toString();
    const loaded = useData<QueueData>(words, (signal) => call(`queue?${words}`, { signal }));
    const now = useNow();
    const set = (change: Partial<typeof filter>) => go(address("queue", "", { ...filter, ...change }), true);
    return (
        <>
            <PageTitle title="Queue" />
            <div class="tools">
                <Choice kind="insights" label="Insight" value={filter.insightId} set={(insightId) => set({ insightId })} />
                <Choice kind="customers" label="Customer" value={filter.customerId} set={(customerId) => set({ customerId })} />
            </div>
            <Show loaded={loaded}>
                {({ queues, waiting, running }) => (
                    <>
                        <dl class="figures">
                            {queues.map((queue) => (
                                <div class="card figure" key={queue.insightId}>
                                    <dt>
                                        <Text value={queue.insightId} most={60} />
                                    </dt>
                                    <dd>{count(queue.waiting)} waiting</dd>
                                    <dd class="soft">{count(queue.leased)} running</dd>
                                </div>
                            ))}
                        </dl>
                        <section aria-labelledby="running-title">
                            <div class="section-head">
                                <h2 id="running-title">Running</h2>
                            </div>
                            <Leases rows={running} now={now} />
                        </section>
                        <section aria-labelledby="waiting-title">
                            <div class="section-head">
                                <h2 id="waiting-title">Waiting</h2>
                                <span class="note soft">in the order in which they are given out</span>
                            </div>
                            <Waiting rows={waiting} now={now} />
                        </section>
                    </>
                )}
            </Show>
        </>
    );
}

function Name({ row }: { row: RunRow }) {
    return (
        <th scope="row">
            <AgendaLink row={row} />
        </th>
    );
}

function Leases({ rows, now }: { rows: RunRow[]; now: number }) {
    return (
        <Table
            heads={["Agenda", "Puller", "Lease ends", ["Insight", "mid-only"], ["Customer", "wide-only"]]}
            items={rows}
            row={(row) => (
                <tr key={row.agendaId}>
                    <Name row={row} />
                    <td>
                        <Text value={row.lease?.puller} most={80} />
                        {row.lease && !row.lease.isStarted ? <span class="soft"> · not started yet</span> : null}
                    </td>
                    <td>{row.lease ? relative(row.lease.until, now) : "–"}</td>
                    <td class="mid-only">
                        <Text value={row.insightId} most={80} />
                    </td>
                    <td class="wide-only">
                        <Text value={row.customerId} most={80} />
                    </td>
                </tr>
            )}
            empty="Nothing runs."
        />
    );
}

function Waiting({ rows, now }: { rows: RunRow[]; now: number }) {
    return (
        <>
            <Table
                heads={["Agenda", "Insight", ["Customer", "mid-only"], ["Priority", "num"], "Queued", ["Attempts", "wide-only num"]]}
                items={rows}
                row={(row) => (
                    <tr key={row.agendaId}>
                        <Name row={row} />
                        <td>
                            <Text value={row.insightId} most={80} />
                        </td>
                        <td class="mid-only">
                            <Text value={row.customerId} most={80} />
                        </td>
                        <td class="num">{row.priority}</td>
                        <td>
                            {relative(row.queuedTime, now)} <span class="soft mid-only">(<Time at={row.queuedTime} />)</span>
                        </td>
                        <td class="wide-only num">
                            {row.attempts}/{row.maximumAttempts}
                        </td>
                    </tr>
                )}
                empty="Nothing waits."
            />
            {rows.length >= MOST ? <p class="soft">The first {MOST} are shown.</p> : null}
        </>
    );
}
