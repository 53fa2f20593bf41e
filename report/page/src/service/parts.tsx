// Small parts of the pages.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { words } from "./api";
import type { Loaded } from "./live";
import type { RunRow, RunState } from "./model";
import { address } from "./route";
import { shown } from "./text";

interface Look {
    css: string;
    shape: string;
    /** Colour of a head. */
    tone: string;
}

const LOOKS: Record<RunState, Look> = {
    parked: { css: "skipped", shape: "‖", tone: "warn" },
    waiting: { css: "waiting", shape: "○", tone: "warn" },
    running: { css: "running", shape: "●", tone: "busy" },
    succeeded: { css: "succeeded", shape: "✓", tone: "good" },
    failed: { css: "failed", shape: "✕", tone: "bad" },
    cancelled: { css: "cancelled", shape: "⊘", tone: "warn" },
};

export function lookOf(state: RunState): Look {
    return LOOKS[state] ?? { css: "waiting", shape: "?", tone: "warn" };
}

/** The state of an agenda: colour is never its only sign. */
export function RunMark({ state }: { state: RunState }) {
    const { css, shape } = lookOf(state);
    return (
        <span class={`state s-${css}`}>
            <span class="mark" aria-hidden="true">
                {shape}
            </span>
            <span>{state}</span>
        </span>
    );
}

/** A text of somebody else. */
export function Text({ value, most }: { value: unknown; most?: number }) {
    return <bdi>{shown(value, most)}</bdi>;
}

export function Time({ at }: { at?: number | null }) {
    if (!at) return <span class="soft">–</span>;
    const date = new Date(at);
    if (Number.isNaN(date.getTime())) return <span class="soft">?</span>;
    const isToday = date.toDateString() === new Date().toDateString();
    const options: Intl.DateTimeFormatOptions = isToday
        ? { hour: "2-digit", minute: "2-digit", second: "2-digit" }
        : { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
    return (
        <time dateTime={date.toISOString()} title={date.toISOString()}>
            {date.toLocaleString(undefined, options)}
        </time>
    );
}

export function Percent({ value, label }: { value: number; label: string }) {
    const known = Math.max(0, Math.min(100, Number(value) || 0));
    return (
        <span class="percent">
            <progress max={100} value={known} aria-label={label} />
            <span class="value">{Math.floor(known)} %</span>
        </span>
    );
}

/** A heading that gets the focus when a page opens, so that the keyboard and a screen reader begin there. */
export function PageTitle({ title, children }: { title: string; children?: ComponentChildren }) {
    const heading = useRef<HTMLHeadingElement>(null);
    useEffect(() => {
        document.title = `${title} · pop`;
        heading.current?.focus({ preventScroll: true });
    }, [title]);
    return (
        <div class="page-head">
            <h1 ref={heading} tabIndex={-1}>
                {title}
            </h1>
            {children}
        </div>
    );
}

/** Data that may still load, or that the service refuses. */
export function Show<T>({ loaded, children }: { loaded: Loaded<T>; children: (data: T) => ComponentChildren }) {
    const { data, error, reload } = loaded;
    return (
        <>
            {error ? (
                <p class="card problem" role="alert">
                    {error.message}{" "}
                    <button type="button" class="link" onClick={reload}>
                        Try again
                    </button>
                </p>
            ) : null}
            {data !== null ? children(data) : error ? null : <p class="soft loading">Loading…</p>}
        </>
    );
}

/** Title of a column, and the class of its head. */
export type Head = string | [title: string, css: string];

interface TableProps<T> {
    heads: Head[];
    items: T[];
    row: (item: T) => ComponentChildren;
    /** What there is instead of a table without rows. */
    empty: ComponentChildren;
}

/** A table with a row for each item. */
export function Table<T>({ heads, items, row, empty }: TableProps<T>) {
    if (!items.length) return <p class="card empty">{empty}</p>;
    return (
        <div class="card scroll">
            <table class="plain runs">
                <thead>
                    <tr>
                        {heads.map((head) => {
                            const [title, css] = typeof head === "string" ? [head] : head;
                            return (
                                <th scope="col" key={title} class={css}>
                                    {title}
                                </th>
                            );
                        })}
                    </tr>
                </thead>
                <tbody>{items.map(row)}</tbody>
            </table>
        </div>
    );
}

/** The title of an agenda, or its id. */
export const agendaName = (row: RunRow) => shown(row.title) || row.agendaId;

export function AgendaLink({ row }: { row: RunRow }) {
    return (
        <a href={address("agenda", row.agendaId)}>
            <bdi>{agendaName(row)}</bdi>
        </a>
    );
}

export interface Question {
    title: string;
    children?: ComponentChildren;
    /** Words of the button that does it. */
    act: string;
    isDangerous?: boolean;
    perform: () => Promise<unknown>;
    close: () => void;
}

/** Asks before something is done. A refusal is shown, and the question stays. */
export function Confirm({ title, children, act, isDangerous, perform, close }: Question) {
    const dialog = useRef<HTMLDialogElement>(null);
    const [problem, setProblem] = useState("");
    const [isBusy, setBusy] = useState(false);
    useEffect(() => {
        const before = document.activeElement as HTMLElement | null;
        dialog.current?.showModal();
        return () => before?.focus?.();
    }, []);
    const go = async () => {
        setBusy(true);
        setProblem("");
        try {
            await perform();
            close();
        } catch (error) {
            setProblem(words(error));
            setBusy(false);
        }
    };
    return (
        <dialog ref={dialog} class="card question" aria-labelledby="question-title" onClose={close}>
            <h2 id="question-title">{title}</h2>
            {children}
            {problem ? (
                <p class="problem" role="alert">
                    {shown(problem, 2000)}
                </p>
            ) : null}
            <div class="actions">
                <button type="button" class="button" onClick={close}>
                    Keep it as it is
                </button>
                <button type="button" class={isDangerous ? "button danger" : "button main"} disabled={isBusy} onClick={() => void go()}>
                    {act}
                </button>
            </div>
        </dialog>
    );
}
