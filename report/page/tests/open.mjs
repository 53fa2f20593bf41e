// Prints how long Chromium needs to open pages, and how much memory their scripts hold: bench/page calls it.
//
//   node open.mjs FILE...
import { resolve } from "node:path";
import { chromium } from "playwright-core";

const ROUNDS = 5;
const median = (values) => values.sort((one, other) => one - other)[Math.floor(values.length / 2)];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
for (const file of process.argv.slice(2)) {
    const [times, work, memory] = [[], [], []];
    let nodes = 0;
    for (let round = 0; round < ROUNDS; round++) {
        const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
        const session = await page.context().newCDPSession(page);
        await session.send("Performance.enable", { timeDomain: "threadTicks" });
        const metric = async (name) => {
            const { metrics } = await session.send("Performance.getMetrics");
            return metrics.find((metric) => metric.name === name).value;
        };
        const before = await metric("TaskDuration");
        await page.goto(`file://${resolve(file)}`);
        // until two frames after everything was drawn, since the navigation began
        const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))));
        times.push(await page.evaluate(drawn));
        work.push(1000 * ((await metric("TaskDuration")) - before));
        await session.send("HeapProfiler.collectGarbage");
        memory.push((await metric("JSHeapUsedSize")) / 2 ** 20);
        nodes = await page.evaluate(() => document.querySelectorAll("*").length);
        await page.close();
    }
    const name = file.split("/").pop();
    const [took, cpu] = [median(times).toFixed(0), median(work).toFixed(0)];
    console.log(`${name}: ${took} ms to open (${cpu} ms CPU time of its thread), ${median(memory).toFixed(1)} MiB heap, ${nodes} elements`);
}
await browser.close();
