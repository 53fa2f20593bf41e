// Failures first: what failed, why, the end of its log, and how to repeat it. Failures that are alike are one card.

import { useMemo, useState } from "preact/hooks";
import { Command, Log, Section, StateMark } from "./common";
import type { Failure, Run } from "./data";
import { DEAD, FAILED, stem } from "./data";
import { count, plural } from "./format";

interface Group {
    ops: number[];
    failure?: Failure;
}

/** Cards that are shown at first, and with each further step. */
const STEP = 20;
/** Names of operations that a card lists. */
const NAMED = 12;

export function failureGroups(run: Run): Group[] {
    const groups = new Map<string, Group>();
    for (let op = 0; op < run.count; op++) {
        const state = run.state[op];
        if (state !== FAILED && state !== DEAD) continue;
        // an operation with parts fails because of them
        if (run.parts.get(op)?.some((part) => run.state[part] <= DEAD)) continue;
        const failure = run.failure(op);
        const key = `${state} ${run.stem(op)} ${failure?.code} ${stem(failure?.message ?? "")}`;
        const known = groups.get(key);
        if (known) known.ops.push(op);
        else groups.set(key, { ops: [op], failure });
    }
    // what failed first may explain the rest
    const [state, time] = [(group: Group) => run.state[group.ops[0]], (group: Group) => run.settled[group.ops[0]]];
    return [...groups.values()].sort((one, other) => state(one) - state(other) || time(one) - time(other));
}

export function Failures({ run, select, only }: { run: Run; select: (op: number) => void; only: (ops: number[]) => void }) {
    const groups = useMemo(() => failureGroups(run), [run, run.version]);
    const [shown, setShown] = useState(STEP);
    if (!groups.length) return null;
    const total = groups.reduce((sum, group) => sum + group.ops.length, 0);
    const note = total > groups.length ? `${plural(total, "operation")}, ${count(groups.length)} different` : null;
    return (
        <Section id="failures" title="Failures" note={note ? <span class="soft">{note}</span> : null}>
            {groups.slice(0, shown).map((group, at) => (
                <Card key={group.ops[0]} run={run} group={group} isOpen={at === 0} select={select} only={only} />
            ))}
            {groups.length > shown ? (
                <button type="button" class="wide" onClick={() => setShown(shown + STEP)}>
                    Show {Math.min(STEP, groups.length - shown)} more of {count(groups.length - shown)}
                </button>
            ) : null}
            {run.leftOut[0] ? <p class="soft">{plural(run.leftOut[0], "failure")} had no room in this page: `pop show` has them.</p> : null}
        </Section>
    );
}

interface CardProps {
    run: Run;
    group: Group;
    isOpen: boolean;
    select: (op: number) => void;
    only: (ops: number[]) => void;
}

function Card({ run, group, isOpen, select, only }: CardProps) {
    const op = group.ops[0];
    const { failure } = group;
    const others = group.ops.length - 1;
    return (
        <details class={`card failure f-${run.state[op]}`} open={isOpen}>
            <summary>
                <StateMark state={run.state[op]} label={false} />
                <bdi class="fail-name">{run.shown(op)}</bdi>
                {others ? <span class="chip">and {count(others)} alike</span> : null}
                {failure ? <span class="fail-message cut">{failure.message}</span> : null}
            </summary>
            <div class="fail-body">
                <div class="chips">
                    {failure ? (
                        <>
                            {failure.code ? <span class="chip">code: {failure.code}</span> : null}
                            {failure.blame ? <span class="chip">blame: {failure.blame}</span> : null}
                            {failure.exit ? <span class="chip">{failure.exit}</span> : null}
                        </>
                    ) : null}
                    <span class="chip">{run.type(op)}</span>
                    {run.tries[op] > 1 ? <span class="chip">{plural(run.tries[op], "attempt")}</span> : null}
                    <button type="button" class="link" onClick={() => select(op)}>
                        Details
                    </button>
                </div>
                <FailureText failure={failure} name={run.shown(op)} />
                {others ? (
                    <p class="alike">
                        <span class="soft">Also: </span>
                        {group.ops.slice(1, NAMED + 1).map((other) => (
                            <button type="button" class="link" key={other} onClick={() => select(other)}>
                                <bdi>{run.shown(other)}</bdi>
                            </button>
                        ))}
                        {others > NAMED ? (
                            <button type="button" class="link" onClick={() => only(group.ops)}>
                                all {count(group.ops.length)}
                            </button>
                        ) : null}
                    </p>
                ) : null}
                {run.more.get(op)?.repeat ? (
                    <div class="repeat">
                        <span class="soft">Repeat it</span>
                        <Command text={run.more.get(op)?.repeat ?? ""} />
                    </div>
                ) : null}
            </div>
        </details>
    );
}

/** Message, diagnostics and the end of the log. */
export function FailureText({ failure, name }: { failure?: Failure; name: string }) {
    if (!failure) return <p class="soft">The details had no room in this page: `pop show` has them.</p>;
    return (
        <>
            <p class="message">{failure.message}</p>
            {failure.diagnostics?.map((text, at) => (
                <pre class="diagnostic" key={at}>
                    {text}
                </pre>
            ))}
            {failure.tail ? (
                <Log lines={failure.tail} label={`End of the log of ${name}`} />
            ) : failure.blame ? (
                <p class="soft">It printed nothing.</p>
            ) : null}
        </>
    );
}
