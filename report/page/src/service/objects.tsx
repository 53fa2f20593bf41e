// What agendas are made and distributed by: insights, resource pools, customers and templates. Only to read.

import { call } from "./api";
import { useData } from "./live";
import type { Stored } from "./model";
import { PageTitle, Show, Table, Text } from "./parts";
import { address } from "./route";
import { shownLines } from "./text";

type Column = [title: string, of: (one: Stored) => unknown];

const list = (value: unknown) => (Array.isArray(value) ? value.join(", ") : "");
const mappers = (value: unknown) =>
    value && typeof value === "object"
        ? Object.entries(value)
              .map(([name, values]) => `${name}: ${list(values)}`)
              .join("; ")
        : "";

const KINDS: [path: string, title: string, columns: Column[]][] = [
    [
        "insights",
        "Insights",
        [
            ["Resource pool", (one) => one.resourcePoolId],
            ["Order", (one) => one.schedulingAlgorithm ?? "FirstInFirstOut"],
            ["Takes", (one) => mappers(one.mappers) || "what no other insight takes"],
            ["Used by", (one) => (one.isGlobal ? "all customers" : list(one.allowedCustomerIds) || one.customerId)],
            ["Queue size", (one) => (one.queueSize === 0 ? "0 (paused)" : (one.queueSize ?? "no limit"))],
        ],
    ],
    ["resource-pools", "Resource pools", [["Insights", (one) => list(one.insightIds)]]],
    ["customers", "Customers", [["Resource pool", (one) => one.resourcePoolId]]],
    ["agenda-templates", "Agenda templates", []],
];

export function Objects() {
    return (
        <>
            <PageTitle title="Setup" />
            {KINDS.map(([path, title, columns]) => (
                <Kind key={path} path={path} title={title} columns={columns} />
            ))}
        </>
    );
}

function Kind({ path, title, columns }: { path: string; title: string; columns: Column[] }) {
    const loaded = useData<{ items: Stored[] }>(path, (signal) => call(`${path}?bylimit=200`, { signal }));
    return (
        <section aria-labelledby={`${path}-title`}>
            <div class="section-head">
                <h2 id={`${path}-title`}>{title}</h2>
            </div>
            <Show loaded={loaded}>
                {({ items }) => (
                    <Table
                        heads={["Id", "Title", ...columns.map(([name]) => name), "All fields"]}
                        items={items}
                        row={(one) => (
                            <tr key={one.id}>
                                <th scope="row">
                                    {path === "agenda-templates" ? (
                                        <a href={address("submit", "", { template: one.id })}>
                                            <Text value={one.id} />
                                        </a>
                                    ) : (
                                        <Text value={one.id} />
                                    )}
                                </th>
                                <td>
                                    <Text value={one.title} />
                                </td>
                                {columns.map(([name, of]) => (
                                    <td key={name}>
                                        <Text value={of(one)} />
                                    </td>
                                ))}
                                <td>
                                    <Json value={one} />
                                </td>
                            </tr>
                        )}
                        empty="There are none."
                    />
                )}
            </Show>
        </section>
    );
}

/** An object with all its fields. */
function Json({ value }: { value: Stored }) {
    return (
        <details class="json">
            <summary>JSON</summary>
            <pre class="log" tabIndex={0} aria-label={`All fields of ${value.id}`}>
                <code>{shownLines(JSON.stringify(value, null, 2))}</code>
            </pre>
        </details>
    );
}
