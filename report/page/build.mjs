// Builds the page into one file, report/src/format/page/page.html, which pop embeds. Its content security policy allows
// only this script and this style, by their hashes. The same sources and versions give the same bytes.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const into = process.argv[2] ?? path("../src/format/page/page.html");

async function bundle(entry) {
    const built = await build({
        absWorkingDir: path("."),
        entryPoints: [entry],
        bundle: true,
        minify: true,
        write: false,
        charset: "utf8",
        format: "iife",
        target: ["es2022", "chrome110", "firefox110", "safari16"],
        jsx: "automatic",
        jsxImportSource: "preact",
        legalComments: "none",
        logLevel: "warning",
    });
    const text = built.outputFiles[0].text.trim();
    if (/<\/(script|style)|<!--/i.test(text)) {
        throw new Error(`${entry}: the text would end its own element`);
    }
    return text;
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const [script, style] = await Promise.all([bundle("src/main.tsx"), bundle("src/style.css")]);
const shell = readFileSync(path("src/shell.html"), "utf8");
const parts = { scriptHash: hash(script), styleHash: hash(style), style, script };
// a function, because a text with `$` is no pattern of a replacement
const page = shell.replace(/\[\[(\w+)\]\]/g, (_, name) => parts[name]);
writeFileSync(into, page);
