// Prints how long Chromium needs to open pages, and how much memory their scripts hold: bench/page calls it.
//
//   node open.mjs FILE...
import { resolve } from "node:path";
import { chromium } from "playwright-core";

const ROUNDS = 5;
const median = (values) => values.sort((one, other) => one - other)[Math.floor(values.length / 2)];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
for (const file of process.argv.slice(2)) {
    const [times, memory] = [[], []];
    let nodes = 0;
    for (let round = 0; round < ROUNDS; round++) {
        const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
        await page.goto(`file://${resolve(file)}`);
        // until two frames after everything was drawn, since the navigation began
        const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))));
        times.push(await page.evaluate(drawn));
        const session = await page.context().newCDPSession(page);
        await session.send("HeapProfiler.collectGarbage");
        const { metrics } = await session.send("Performance.enable").then(() => session.send("Performance.getMetrics"));
        memory.push(metrics.find((metric) => metric.name === "JSHeapUsedSize").value / 2 ** 20);
        nodes = await page.evaluate(() => document.querySelectorAll("*").length);
        await page.close();
    }
    console.log(`${file.split("/").pop()}: ${median(times).toFixed(0)} ms to open, ${median(memory).toFixed(1)} MiB heap, ${nodes} elements`);
}
await browser.close();
