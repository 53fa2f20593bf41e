// The log of one operation, followed while it grows.

import { useEffect, useRef } from "preact/hooks";
import { call, part } from "./api";
import { useData } from "./live";
import type { OperationLog } from "./model";
import { Show, Time } from "./parts";
import { shownLines } from "./text";

/** Distance from the end within which the view follows the log. */
const NEAR = 40;

export function OperationLogView({ agenda, operation }: { agenda: string; operation: string }) {
    const path = `agendas/${part(agenda)}/logs/${operation.split("/").map(part).join("/")}`;
    const loaded = useData<OperationLog>(path, (signal) => call(path, { signal }));
    return (
        <div class="attempt">
            <h3>Log</h3>
            <Show loaded={loaded}>{(log) => <Lines log={log} />}</Show>
        </div>
    );
}

function Lines({ log }: { log: OperationLog }) {
    const box = useRef<HTMLPreElement>(null);
    const follows = useRef(true);
    useEffect(() => {
        const element = box.current;
        if (element && follows.current) element.scrollTop = element.scrollHeight;
    }, [log.text]);
    return (
        <>
            <p class="soft">
                attempt {log.attempt}
                {log.isCut ? ", its last lines" : ""} · <Time at={log.updatedTime} />
            </p>
            <pre
                ref={box}
                class="log live-log"
                tabIndex={0}
                aria-label="Log"
                onScroll={(event) => {
                    const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
                    follows.current = scrollHeight - scrollTop - clientHeight < NEAR;
                }}
            >
                <code>{shownLines(log.text) || "It printed nothing yet."}</code>
            </pre>
        </>
    );
}
