// What may be done with an agenda: rerun, cancel, reclaim. Each is confirmed.

import { useState } from "preact/hooks";
import { part, post, Refusal } from "./api";
import { may, type Overview, type Session } from "./model";
import { Confirm } from "./parts";
import { shown } from "./text";

interface Props {
    session: Session;
    id: string;
    overview: Overview;
    /** Names of its operations. */
    operations: string[];
    reload: () => void;
}

type Asked = "rerun" | "cancel" | "reclaim" | null;

export function Actions(props: Props) {
    const { session, id, overview, reload } = props;
    const [asked, setAsked] = useState<Asked>(null);
    const { state, lease } = overview.work;
    const isOver = ["succeeded", "failed", "cancelled"].includes(state);
    const canSubmit = may(session, "submit");
    const close = () => setAsked(null);
    const perform = async (what: string, value: unknown = {}) => {
        await post(`agendas/${part(id)}/${what}`, value);
        reload();
    };
    return (
        <div class="actions">
            {canSubmit && (isOver || state === "parked") ? (
                <button type="button" class="button main" onClick={() => setAsked("rerun")}>
                    {state === "parked" ? "Run…" : state === "failed" ? "Retry…" : "Rerun…"}
                </button>
            ) : null}
            {canSubmit && !isOver ? (
                <button type="button" class="button danger" onClick={() => setAsked("cancel")}>
                    Cancel…
                </button>
            ) : null}
            {may(session, "admin") && state === "running" ? (
                <button type="button" class="button" onClick={() => setAsked("reclaim")}>
                    Reclaim…
                </button>
            ) : null}
            {asked === "cancel" ? (
                <Confirm title="Cancel this agenda?" act="Cancel the agenda" isDangerous perform={() => perform("cancel")} close={close}>
                    <p>
                        {state === "running"
                            ? "Its executor is stopped when its puller renews the lease next. Operations that have ended keep their results."
                            : "It leaves the queue."}{" "}
                        It can be rerun later.
                    </p>
                </Confirm>
            ) : null}
            {asked === "reclaim" ? (
                <Confirm title="Take the lease back?" act="Take it back" isDangerous perform={() => perform("reclaim")} close={close}>
                    <p>
                        Puller <bdi>{shown(lease?.puller, 80)}</bdi> loses the agenda. Its attempt counts if it has started. The agenda waits again, or fails
                        if no attempt is left. Do this if the puller hangs.
                    </p>
                </Confirm>
            ) : null}
            {asked === "rerun" ? <Rerun {...props} close={close} /> : null}
        </div>
    );
}

type Reset = "continue" | "resetAll" | "operationsToReset";

function Rerun({ id, overview, operations, reload, close }: Props & { close: () => void }) {
    const [reset, setReset] = useState<Reset>(overview.work.state === "succeeded" ? "resetAll" : "continue");
    const [names, setNames] = useState<string[]>([]);
    const [isOnlyReset, setOnlyReset] = useState(false);
    const own = [...new Set(operations)].slice(0, 500);
    const perform = async () => {
        if (reset === "operationsToReset" && !names.length) throw new Refusal(0, "Choose at least one operation.");
        const words = [reset === "operationsToReset" ? `operationsToReset=${names.join(",")}` : reset];
        if (isOnlyReset) words.push("skipExecution");
        await post(`agendas/${part(id)}/rerun`, { words });
        reload();
    };
    const choice = (value: Reset, title: string, note: string) => (
        <label class="option">
            <input type="radio" name="reset" checked={reset === value} onChange={() => setReset(value)} />
            <span>
                {title} <span class="soft">{note}</span>
            </span>
        </label>
    );
    return (
        <Confirm title="Run this agenda again?" act={isOnlyReset ? "Reset it" : "Run it again"} perform={perform} close={close}>
            <fieldset>
                <legend class="hidden">Which operations run again</legend>
                {choice("continue", "What has not succeeded", "continue: results stay")}
                {choice("resetAll", "Everything", "resetAll: all results are deleted, and attempts count from 0")}
                {choice("operationsToReset", "Chosen operations", "operationsToReset: with all that depends on them")}
            </fieldset>
            {reset === "operationsToReset" ? (
                <label class="field">
                    <span>Operations</span>
                    <select
                        multiple
                        size={Math.min(8, Math.max(2, own.length))}
                        onChange={(event) => setNames([...event.currentTarget.selectedOptions].map((option) => option.value))}
                    >
                        {own.map((name) => (
                            <option key={name} value={name} selected={names.includes(name)}>
                                {shown(name, 120)}
                            </option>
                        ))}
                    </select>
                </label>
            ) : null}
            <label class="option">
                <input type="checkbox" checked={isOnlyReset} onChange={(event) => setOnlyReset(event.currentTarget.checked)} />
                <span>
                    Only reset, do not run <span class="soft">skipExecution</span>
                </span>
            </label>
        </Confirm>
    );
}
