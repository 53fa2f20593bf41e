// The page of `pop report`: reads its data, shows the run, and follows it if the page is live.

import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { PageData } from "./data";
import { Run } from "./data";
import { clock, count } from "./format";
import { Head } from "./overview";
import { RunView } from "./run-view";
import { startTheme, ThemeButton, useTheme } from "./theme";

function App({ data }: { data: PageData }) {
    const run = useMemo(() => new Run(data), []);
    const [version, setVersion] = useState(0);
    const [live, setLive] = useState<string | null>(data.live ? "live" : null);
    const theme = useTheme();
    useEffect(() => {
        if (!data.live) return;
        const source = new EventSource(data.live);
        let [until, at] = [run.head.until, performance.now()];
        source.onopen = () => setLive("live");
        source.onerror = () => setLive("connection lost");
        source.addEventListener("run", (event) => {
            const news = JSON.parse((event as MessageEvent<string>).data) as PageData;
            run.add(news);
            [until, at] = [run.head.until, performance.now()];
            setVersion(run.version);
        });
        // between two changes, what runs goes on
        const tick = () => {
            if (run.head.state !== "running" || document.hidden || source.readyState !== EventSource.OPEN) return;
            run.advance(until + performance.now() - at);
            setVersion(run.version);
        };
        const timer = setInterval(tick, run.count > 5000 ? 5000 : 1000);
        return () => {
            clearInterval(timer);
            source.close();
        };
    }, []);
    return (
        <div class="page">
            <a class="skip" href="#operations">
                Skip to the list of operations
            </a>
            <RunView
                run={run}
                version={version}
                tools={<ThemeButton {...theme} />}
                keys={{ t: theme.next }}
                commands="Commands"
                head={<Head run={run} live={run.head.state === "running" ? live : null} />}
            />
            <footer class="soft">
                {count(run.count)} operations · written by pop {run.head.pop} on {clock(run.head.generated)}
            </footer>
        </div>
    );
}

const root = document.getElementById("app");
const text = document.getElementById("data")?.textContent;
if (root && text) {
    startTheme();
    render(<App data={JSON.parse(text) as PageData} />, root);
    document.documentElement.dataset.ready = String(Math.round(performance.now()));
}
