// The theme that the reader chose, or that of the system; paper is always light.

import { useEffect, useState } from "preact/hooks";

const THEMES = ["auto", "light", "dark"];

export interface Theme {
    theme: string;
    next: () => void;
}

export function useTheme(): Theme {
    const [theme, setTheme] = useState("auto");
    const [, setShown] = useState("");
    useEffect(() => {
        const dark = matchMedia("(prefers-color-scheme: dark)");
        const show = (isPaper = false) => {
            const isDark = !isPaper && (theme === "auto" ? dark.matches : theme === "dark");
            const shown = isDark ? "dark" : "light";
            document.documentElement.dataset.theme = shown;
            // canvases are drawn again in these colours
            setShown(shown);
        };
        const changed = () => show();
        const [before, after] = [() => show(true), () => show()];
        show();
        dark.addEventListener("change", changed);
        addEventListener("beforeprint", before);
        addEventListener("afterprint", after);
        return () => {
            dark.removeEventListener("change", changed);
            removeEventListener("beforeprint", before);
            removeEventListener("afterprint", after);
        };
    }, [theme]);
    return { theme, next: () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]) };
}

export function ThemeButton({ theme, next }: Theme) {
    return (
        <button type="button" class="icon" aria-label={`Theme: ${theme}`} title={`Theme: ${theme}`} onClick={next}>
            {theme === "auto" ? "◐" : theme === "light" ? "☀" : "☾"}
        </button>
    );
}

/** Sets the theme of the system before anything is drawn. */
export function startTheme() {
    document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}
