// Lists of which only the visible rows exist, with the keys that people know from lists.

import { useCallback, useLayoutEffect, useRef, useState } from "preact/hooks";

export interface Virtual {
    box: { current: HTMLDivElement | null };
    /** First visible row, and the one after the last. */
    first: number;
    last: number;
    top: number;
    height: number;
    /** Row that keys act on. */
    active: number;
    activate: (row: number) => void;
    onScroll: () => void;
    onKeyDown: (event: KeyboardEvent) => void;
}

export function useVirtual(
    count: number,
    rowHeight: number,
    open: (row: number) => void,
    fold?: (row: number, isOpen: boolean) => void,
): Virtual {
    const box = useRef<HTMLDivElement>(null);
    const [top, setTop] = useState(0);
    const [height, setHeight] = useState(400);
    const [active, setActive] = useState(-1);
    useLayoutEffect(() => {
        const element = box.current;
        if (!element) return;
        const measure = () => setHeight(element.clientHeight);
        measure();
        const observer = new ResizeObserver(measure);
        observer.observe(element);
        return () => observer.disconnect();
    }, []);
    const onScroll = useCallback(() => setTop(box.current?.scrollTop ?? 0), []);
    const activate = (row: number) => {
        const next = Math.max(0, Math.min(count - 1, row));
        setActive(next);
        const element = box.current;
        if (!element) return;
        const [from, until] = [next * rowHeight, (next + 1) * rowHeight];
        if (from < element.scrollTop) element.scrollTop = from;
        else if (until > element.scrollTop + element.clientHeight) element.scrollTop = until - element.clientHeight;
    };
    const page = Math.max(1, Math.floor(height / rowHeight) - 1);
    const onKeyDown = (event: KeyboardEvent) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const moves: Record<string, number> = {
            ArrowDown: active + 1,
            ArrowUp: active - 1,
            PageDown: active + page,
            PageUp: active - page,
            Home: 0,
            End: count - 1,
        };
        if (event.key in moves) activate(moves[event.key]);
        else if ((event.key === "Enter" || event.key === " ") && active >= 0) open(active);
        else if (fold && event.key === "ArrowRight") fold(active, true);
        else if (fold && event.key === "ArrowLeft") fold(active, false);
        else return;
        event.preventDefault();
    };
    const first = Math.max(0, Math.floor(top / rowHeight) - 2);
    const last = Math.min(count, Math.ceil((top + height) / rowHeight) + 2);
    return { box, first, last, top, height, active: Math.min(active, count - 1), activate, onScroll, onKeyDown };
}
