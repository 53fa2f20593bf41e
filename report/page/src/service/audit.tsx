// Who changed what, and messages to webhooks that have not arrived. For administrators.

import { useState } from "preact/hooks";
import { call } from "./api";
import { useData } from "./live";
import type { Stored } from "./model";
import { PageTitle, Show, Table, Text, Time } from "./parts";

interface Entry {
    time: number;
    cid: string;
    peer: string;
    token: string | null;
    call: string;
    path: string;
    status: number;
    offset: number;
}

interface Delivery extends Stored {
    webhookId: string;
    attempts: number;
    lastProblem?: string;
    processingState?: string;
}

/** What pullers and executors do all the time. */
const ROUTINE = "report,renew,pull,give-back";

export function Audit() {
    const [before, setBefore] = useState<number | null>(null);
    const [hasRoutine, setRoutine] = useState(false);
    const words = `audit?limit=100${hasRoutine ? "" : `&without=${ROUTINE}`}${before === null ? "" : `&before=${before}`}`;
    const loaded = useData<{ items: Entry[]; next: number | null }>(words, (signal) => call(words, { signal }));
    return (
        <>
            <PageTitle title="Audit" />
            <label class="option">
                <input
                    type="checkbox"
                    checked={hasRoutine}
                    onChange={(event) => {
                        setBefore(null);
                        setRoutine(event.currentTarget.checked);
                    }}
                />
                <span>With what pullers and executors do: pull, report, renew, give back</span>
            </label>
            <Show loaded={loaded}>
                {({ items, next }) => (
                    <>
                        <Table
                            heads={["Time", "Caller", "Call", "Path", ["Status", "num"]]}
                            items={items}
                            row={(entry) => (
                                <tr key={entry.offset}>
                                    <td>
                                        <Time at={entry.time} />
                                    </td>
                                    <td>
                                        <Text value={entry.token ?? "no token"} most={80} />{" "}
                                        <span class="soft">
                                            <Text value={entry.peer} most={60} />
                                        </span>
                                    </td>
                                    <td>
                                        <Text value={entry.call} most={40} />
                                    </td>
                                    <td class="path-cell">
                                        <code>
                                            <Text value={entry.path} />
                                        </code>
                                    </td>
                                    <td class={entry.status >= 400 ? "num bad" : "num"}>{entry.status}</td>
                                </tr>
                            )}
                            empty={`There are no such entries${next === null ? "" : " among the newest"}.`}
                        />
                        <nav class="pager" aria-label="Pages of the log">
                            {before !== null ? (
                                <button type="button" class="button" onClick={() => setBefore(null)}>
                                    Newest
                                </button>
                            ) : null}
                            {next !== null ? (
                                <button type="button" class="button" onClick={() => setBefore(next)}>
                                    Older
                                </button>
                            ) : null}
                        </nav>
                    </>
                )}
            </Show>
            <Deliveries />
        </>
    );
}

function Deliveries() {
    const loaded = useData<{ items: Delivery[] }>("deliveries", (signal) => call("deliveries?bylimit=200", { signal }));
    return (
        <section aria-labelledby="deliveries-title">
            <div class="section-head">
                <h2 id="deliveries-title">Messages to webhooks that have not arrived</h2>
            </div>
            <Show loaded={loaded}>
                {({ items }) => (
                    <Table
                        heads={["Delivery", "Webhook", ["Attempts", "num"], "Last problem"]}
                        items={items}
                        row={(one) => (
                            <tr key={one.id}>
                                <th scope="row">
                                    <Text value={one.id} />
                                    {one.processingState === "COMPLETE" ? <span class="chip">given up</span> : null}
                                </th>
                                <td>
                                    <Text value={one.webhookId} />
                                </td>
                                <td class="num">{one.attempts}</td>
                                <td>
                                    <Text value={one.lastProblem} />
                                </td>
                            </tr>
                        )}
                        empty="All have arrived."
                    />
                )}
            </Show>
        </section>
    );
}
