// One agenda: its state, what may be done with it, and its run.

import { useEffect, useMemo, useState } from "preact/hooks";
import { Fact } from "../common";
import { Run } from "../data";
import { RunView } from "../run-view";
import { duration, plural } from "../format";
import { Actions } from "./agenda-actions";
import { OperationLogView } from "./agenda-log";
import { call, part } from "./api";
import { useData, useNow } from "./live";
import { type Overview, type RunReport, type Session, type Stored } from "./model";
import { lookOf, PageTitle, Percent, RunMark, Show, Text, Time } from "./parts";
import { address } from "./route";
import { relative, shown, shownLines } from "./text";

interface Loaded {
    overview: Overview;
    report: RunReport;
    run: Run;
    /** When the report was made, on the clock of `performance`. */
    at: number;
    /** What the report depends on: it is loaded again only if this changes. */
    key: string;
}

export function Agenda({ session, id, nextTheme }: { session: Session; id: string; nextTheme: () => void }) {
    const loaded = useData<Loaded>(id, async (signal, before) => {
        const overview = await call<Overview>(`agendas/${part(id)}/overview`, { signal });
        const { work, progress } = overview;
        const key = [work.state, work.generation, work.attempts, overview.reportTime, overview.reportTime ? 0 : progress.updatedTime].join(" ");
        if (before?.key === key) return { ...before, overview };
        const report = await call<RunReport>(`agendas/${part(id)}/report`, { signal });
        return { overview, report, run: new Run(report.data), at: performance.now() - (Number(report.ageMs) || 0), key };
    });
    if (!loaded.data) {
        return (
            <main id="content">
                <PageTitle title="Agenda" />
                <Show loaded={loaded}>{() => null}</Show>
            </main>
        );
    }
    return <Shown session={session} id={id} data={loaded.data} reload={loaded.reload} problem={loaded.error?.message} nextTheme={nextTheme} />;
}

interface ShownProps {
    session: Session;
    id: string;
    data: Loaded;
    reload: () => void;
    problem?: string;
    nextTheme: () => void;
}

function Shown({ session, id, data, reload, problem, nextTheme }: ShownProps) {
    const { overview, report, run, at } = data;
    const [version, setVersion] = useState(0);
    const until = useMemo(() => run.head.until, [run]);
    // between two reports, the times of what runs continue
    useEffect(() => {
        const isRunning = overview.work.state === "running" && run.head.state === "running";
        if (!isRunning) return;
        const tick = () => {
            if (document.hidden) return;
            run.advance(until + performance.now() - at);
            setVersion((version) => version + 1);
        };
        tick();
        const timer = setInterval(tick, run.count > 5000 ? 5000 : 1000);
        return () => clearInterval(timer);
    }, [run, overview.work.state]);
    const isExecutor = report.source === "executor";
    const logs = useMemo(() => new Set(overview.logs), [overview.logs.join("\n")]);
    return (
        <>
            {problem ? (
                <p class="card problem" role="alert">
                    {problem}
                </p>
            ) : null}
            <RunView
                run={run}
                version={version + run.version}
                keys={{ t: nextTheme }}
                isRough={!isExecutor}
                commands={isExecutor ? "Commands, where the executor ran" : undefined}
                log={(op) => (logs.has(run.names[op]) ? <OperationLogView agenda={id} operation={run.names[op]} /> : null)}
                head={<Head session={session} id={id} overview={overview} report={report} run={run} reload={reload} />}
            />
        </>
    );
}

interface HeadProps {
    session: Session;
    id: string;
    overview: Overview;
    report: RunReport;
    run: Run;
    reload: () => void;
}

function Head({ session, id, overview, report, run, reload }: HeadProps) {
    const { agenda, work, progress } = overview;
    const { tone, shape } = lookOf(work.state);
    const now = useNow();
    const title = shown(agenda.title) || `Agenda ${id}`;
    const started = Number(progress.startedTime) || 0;
    const ended = Number(progress.completedTime) || 0;
    const link = typeof agenda.linkId === "string" ? agenda.linkId : "";
    const diagnostics = Array.isArray(progress.diagnosticEvents) ? progress.diagnosticEvents : [];
    return (
        <>
            <header class={`run-head t-${tone}`}>
                <span class="badge" aria-hidden="true">
                    {shape}
                </span>
                <div class="titles">
                    <PageTitle title={title} />
                    <p class="soft">
                        <RunMark state={work.state} /> · <code>{id}</code>
                    </p>
                    {work.state === "running" || work.state === "waiting" ? (
                        <p role="status">
                            {work.state === "running" ? <Percent value={Number(progress.percentComplete) || 0} label="Progress" /> : null}{" "}
                            <span class="soft">
                                {work.state === "waiting" ? place(overview) : shown(progress.processingStateMessage)}
                            </span>
                        </p>
                    ) : null}
                </div>
                <Actions session={session} id={id} overview={overview} operations={run.names} reload={reload} />
            </header>
            <dl class="card inputs facts-list">
                <Fact name="Customer">
                    <a href={address("", "", { customerId: work.customerId })}>
                        <Text value={work.customerId} />
                    </a>
                </Fact>
                <Fact name="Insight">
                    <a href={address("", "", { insightId: work.insightId })}>
                        <Text value={work.insightId} />
                    </a>
                </Fact>
                {link ? (
                    <Fact name="Link id">
                        <a href={address("", "", { text: link })}>
                            <Text value={link} />
                        </a>{" "}
                        <span class="soft">agendas with this link id</span>
                    </Fact>
                ) : null}
                <Fact name="Submitted">
                    <Time at={Number(agenda.addedTime)} />
                </Fact>
                <Fact name="Started">
                    <Time at={started} /> {started && ended ? <span class="soft">took {duration(Math.max(0, ended - started))}</span> : null}
                </Fact>
                <Fact name="Attempts">
                    {work.attempts} of {work.maximumAttempts}{" "}
                    <span class="soft">{work.generation > 1 ? `run ${work.generation} of this agenda` : "first run of this agenda"}</span>
                </Fact>
                {work.lease ? (
                    <Fact name="Lease">
                        <Text value={work.lease.puller} most={80} />{" "}
                        <span class="soft">
                            ends {relative(work.lease.until, now)}
                            {work.lease.isStarted ? "" : "; the executor has not reported yet"}
                        </span>
                    </Fact>
                ) : null}
                <Fact name="Source">
                    <span class="soft">
                        {report.source === "executor" ? (
                            <>
                                report of the executor, <Time at={report.time} />
                            </>
                        ) : (
                            "progress of the operations; the executor has sent no report"
                        )}
                    </span>
                </Fact>
            </dl>
            {diagnostics.length ? (
                <section aria-labelledby="events-title">
                    <div class="section-head">
                        <h2 id="events-title">Messages about the agenda</h2>
                    </div>
                    <ul class="card events">
                        {diagnostics.slice(-50).map((event, at) => (
                            <li key={at}>
                                {event.time ? <Time at={event.time} /> : null} {event.statusCode ? <span class="chip">{shown(event.statusCode, 60)}</span> : null}{" "}
                                <bdi>{shown(event.message, 2000)}</bdi>
                            </li>
                        ))}
                    </ul>
                </section>
            ) : null}
            <Source id={id} />
        </>
    );
}

function place({ ahead }: Overview): string {
    if (ahead === null) return "waits in the queue";
    return ahead === 0 ? "is given out next" : `${plural(ahead, "agenda is", "agendas are")} given out before it`;
}

/** The agenda itself, when somebody wants to see it. */
function Source({ id }: { id: string }) {
    const [text, setText] = useState("");
    const open = (event: Event) => {
        if (!(event.currentTarget as HTMLDetailsElement).open || text) return;
        call<Stored>(`agendas/${part(id)}`).then(
            (agenda) => setText(shownLines(JSON.stringify(agenda, null, 2))),
            (error: Error) => setText(error.message),
        );
    };
    return (
        <details class="json" onToggle={open}>
            <summary>The agenda as JSON</summary>
            <p>
                <a href={address("submit", "", { from: id })}>Submit a changed copy</a>
            </p>
            <pre class="log" tabIndex={0} aria-label="The agenda as JSON">
                <code>{text || "Loading…"}</code>
            </pre>
        </details>
    );
}
