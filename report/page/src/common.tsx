// Small parts that several sections use.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { STATE_LABELS, STATES } from "./data";

/** Shapes of states: colour is never the only sign of a state. */
const SHAPES = ["✕", "☠", "⊘", "◼", "●", "○", "⤼", "⟲", "✓"];

export function StateMark({ state, label = true }: { state: number; label?: boolean }) {
    return (
        <span class={`state s-${STATES[state]}`}>
            <span class="mark" aria-hidden="true">
                {SHAPES[state]}
            </span>
            {label ? <span>{STATE_LABELS[state]}</span> : <span class="hidden">{STATE_LABELS[state]}</span>}
        </span>
    );
}

/** A command with a button that copies it. */
export function Command({ text }: { text: string }) {
    const [copied, setCopied] = useState(false);
    const copy = () => {
        const done = () => {
            setCopied(true);
            setTimeout(() => setCopied(false), 1500);
        };
        // a page that was opened as a file may not use the clipboard
        if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, () => copyBySelection(text, done));
        else copyBySelection(text, done);
    };
    return (
        <div class="command">
            <code tabIndex={0}>{text}</code>
            <button type="button" onClick={copy} aria-label={`Copy the command ${text}`}>
                {copied ? "Copied" : "Copy"}
            </button>
        </div>
    );
}

function copyBySelection(text: string, done: () => void) {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    if (document.execCommand("copy")) done();
    area.remove();
}

export function Section(props: { id: string; title: string; note?: ComponentChildren; children: ComponentChildren }) {
    return (
        <section id={props.id} aria-labelledby={`${props.id}-title`}>
            <div class="section-head">
                <h2 id={`${props.id}-title`}>{props.title}</h2>
                {props.note ? <div class="note">{props.note}</div> : null}
            </div>
            {props.children}
        </section>
    );
}

/** Whether the page is being printed. */
export function usePaper(): boolean {
    const [isPaper, setPaper] = useState(false);
    useEffect(() => {
        const [before, after] = [() => setPaper(true), () => setPaper(false)];
        addEventListener("beforeprint", before);
        addEventListener("afterprint", after);
        return () => {
            removeEventListener("beforeprint", before);
            removeEventListener("afterprint", after);
        };
    }, []);
    return isPaper;
}

/** Text of a program: its lines, never more. */
export function Log({ lines, label }: { lines: string[]; label: string }) {
    return (
        <pre class="log" tabIndex={0} aria-label={label}>
            <code>{lines.join("\n")}</code>
        </pre>
    );
}

/** A name with its value, in a list of facts. */
export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
    return (
        <div>
            <dt>{name}</dt>
            <dd>{children}</dd>
        </div>
    );
}
