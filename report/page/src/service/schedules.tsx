// Schedules with their next times.

import { call } from "./api";
import { useData, useNow } from "./live";
import type { Stored } from "./model";
import { PageTitle, Show, Table, Text, Time } from "./parts";
import { address } from "./route";
import { relative, shown } from "./text";

interface Schedule extends Stored {
    cron: string;
    timeZone?: string;
    agendaTemplateId: string;
    isPaused?: boolean;
    nextTime?: number;
    lastTime?: number;
    lastAgendaId?: string;
    lastProblem?: string;
}

export function Schedules() {
    const loaded = useData<{ items: Schedule[] }>("schedules", (signal) => call("schedules?bylimit=500", { signal }));
    const now = useNow();
    return (
        <>
            <PageTitle title="Schedules" />
            <Show loaded={loaded}>
                {({ items }) => (
                    <Table
                        heads={["Schedule", "Times", "Template", "Next time", ["Last time", "mid-only"]]}
                        items={items}
                        row={(one) => <Row key={one.id} schedule={one} now={now} />}
                        empty={
                            <>
                                There are no schedules. <code>POST /v1/schedules</code> makes one.
                            </>
                        }
                    />
                )}
            </Show>
        </>
    );
}

function Row({ schedule, now }: { schedule: Schedule; now: number }) {
    return (
        <tr>
            <th scope="row">
                <Text value={schedule.title || schedule.id} />
            </th>
            <td>
                <code>
                    <Text value={schedule.cron} />
                </code>{" "}
                <span class="soft">
                    <Text value={schedule.timeZone ?? "UTC"} />
                </span>
            </td>
            <td>
                <Text value={schedule.agendaTemplateId} />
            </td>
            <td>
                {schedule.isPaused ? (
                    <span class="chip">paused</span>
                ) : schedule.nextTime ? (
                    <>
                        <Time at={schedule.nextTime} /> <span class="soft">({relative(schedule.nextTime, now)})</span>
                    </>
                ) : (
                    <span class="soft">never</span>
                )}
            </td>
            <td class="mid-only">
                <Time at={schedule.lastTime} />{" "}
                {schedule.lastAgendaId ? <a href={address("agenda", schedule.lastAgendaId)}>its agenda</a> : null}
                {schedule.lastProblem ? <p class="bad">{shown(schedule.lastProblem)}</p> : null}
            </td>
        </tr>
    );
}
