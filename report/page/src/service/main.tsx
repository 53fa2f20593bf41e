// The pages of the agenda service: lists, one agenda, the queue, submission, schedules, objects, and the audit log.

import { render } from "preact";
import type { ComponentChildren } from "preact";
import { useEffect, useErrorBoundary, useState } from "preact/hooks";
import { startTheme, ThemeButton, useTheme } from "../theme";
import { Agenda } from "./agenda";
import { call, Refusal, words } from "./api";
import { Audit } from "./audit";
import { useLiveState } from "./live";
import { may, type Session } from "./model";
import { Objects } from "./objects";
import { PageTitle } from "./parts";
import { Queue } from "./queue";
import { useRoute } from "./route";
import { Runs } from "./runs";
import { Schedules } from "./schedules";
import { askOtherTabs, setToken, signOut, token, whenSignedOut } from "./session";
import { SignIn } from "./signin";
import { Submit } from "./submit";
import { shown } from "./text";

const PAGES: [name: string, title: string, scope: string][] = [
    ["", "Agendas", "read"],
    ["queue", "Queue", "read"],
    ["submit", "Submit", "submit"],
    ["schedules", "Schedules", "read"],
    ["setup", "Setup", "read"],
    ["audit", "Audit", "admin"],
];

function App() {
    const route = useRoute();
    const theme = useTheme();
    const live = useLiveState();
    const [session, setSession] = useState<Session | null>(null);
    const [problem, setProblem] = useState("");
    const ask = async () => {
        setProblem("");
        try {
            await askOtherTabs();
            setSession(await call<Session>("session"));
        } catch (error) {
            if (error instanceof Refusal && error.status === 401 && token()) {
                setToken("");
                setSession({ isSignedIn: false, needsToken: true, name: null, scopes: [], version: "" });
            }
            setProblem(words(error));
        }
    };
    useEffect(() => {
        void ask();
        whenSignedOut(() => void ask());
    }, []);
    const leave = () => {
        signOut();
        setSession(null);
        void ask();
    };
    const isIn = session?.isSignedIn;
    const pages = session && isIn ? PAGES.filter(([, , scope]) => may(session, scope)) : [];
    return (
        <div class="page">
            <a
                class="skip"
                href="#content"
                onClick={(event) => {
                    event.preventDefault();
                    document.querySelector<HTMLElement>("#content h1")?.focus();
                }}
            >
                Skip to the content
            </a>
            <header class="top">
                <a class="brand" href="#/">
                    pop <span class="soft">agenda service</span>
                </a>
                <nav aria-label="Pages">
                    {pages.map(([name, title]) => (
                        <a key={name} href={`#/${name}`} aria-current={isCurrent(route.name, name) ? "page" : undefined}>
                            {title}
                        </a>
                    ))}
                </nav>
                <span class="who">
                    {isIn && live !== "live" ? (
                        <span class="bad" role="status">
                            {live}
                        </span>
                    ) : null}
                    {session?.name ? <span class="soft cut">{shown(session.name, 60)}</span> : null}
                    {token() ? (
                        <button type="button" class="button" onClick={leave}>
                            Sign out
                        </button>
                    ) : null}
                    <ThemeButton {...theme} />
                </span>
            </header>
            {!session ? (
                <main id="content">
                    {problem ? (
                        <p class="card problem" role="alert">
                            {problem}{" "}
                            <button type="button" class="link" onClick={() => void ask()}>
                                Try again
                            </button>
                        </p>
                    ) : (
                        <p class="soft loading">Loading…</p>
                    )}
                </main>
            ) : !isIn ? (
                <SignIn problem={problem} done={setSession} />
            ) : (
                <Content session={session} name={route.name} id={route.id} query={route.query} next={theme.next} />
            )}
        </div>
    );
}

function isCurrent(shownName: string, name: string): boolean {
    return shownName === name || (name === "" && shownName === "agenda");
}

interface ContentProps {
    session: Session;
    name: string;
    id: string;
    query: URLSearchParams;
    next: () => void;
}

function Content({ session, name, id, query, next }: ContentProps) {
    if (name === "agenda" && id) {
        return (
            <Guard key={id}>
                <Agenda session={session} id={id} nextTheme={next} />
            </Guard>
        );
    }
    const page = () => {
        switch (name) {
            case "":
                return may(session, "read") ? <Runs query={query} /> : <Start session={session} />;
            case "queue":
                return <Queue query={query} />;
            case "submit":
                return <Submit query={query} />;
            case "schedules":
                return <Schedules />;
            case "setup":
                return <Objects />;
            case "audit":
                return <Audit />;
            default:
                return (
                    <>
                        <PageTitle title="No such page" />
                        <p>
                            <a href="#/">All agendas</a>
                        </p>
                    </>
                );
        }
    };
    return <main id="content">{page()}</main>;
}

/** Says that data cannot be shown, for example the report of a program that is no `pop run`. The other pages go on. */
function Guard({ children }: { children: ComponentChildren }) {
    const [error] = useErrorBoundary();
    if (!error) return <>{children}</>;
    return (
        <main id="content">
            <PageTitle title="This agenda cannot be shown" />
            <p class="card problem" role="alert">
                The report of its executor has another form: {shown(error instanceof Error ? error.message : error)}
            </p>
        </main>
    );
}

/** The first page of somebody who may not read agendas. */
function Start({ session }: { session: Session }) {
    return (
        <>
            <PageTitle title="Signed in" />
            <p>
                Your token has the {session.scopes.length === 1 ? "scope" : "scopes"} {session.scopes.join(", ")}. Lists of agendas need the scope read.
                {may(session, "submit") ? (
                    <>
                        {" "}
                        <a href="#/submit">Submit an agenda</a>
                    </>
                ) : null}
            </p>
        </>
    );
}

const root = document.getElementById("app");
if (root) {
    startTheme();
    render(<App />, root);
    document.documentElement.dataset.ready = String(Math.round(performance.now()));
}
