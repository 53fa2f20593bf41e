// What the service answers (agenda-server/src/openapi.json).

import type { PageData } from "../data";

export interface Session {
    isSignedIn: boolean;
    needsToken: boolean;
    name: string | null;
    scopes: string[];
    version: string;
}

export const RUN_STATES = ["waiting", "running", "succeeded", "failed", "cancelled", "parked"] as const;
export type RunState = (typeof RUN_STATES)[number];

export interface Work {
    agendaId: string;
    progressId: string;
    insightId: string;
    customerId: string;
    state: RunState;
    priority: number;
    queuedTime: number;
    generation: number;
    attempts: number;
    maximumAttempts: number;
    lease: { puller: string; until: number; isStarted: boolean } | null;
}

export interface RunRow extends Work {
    title?: string;
    linkId?: string;
    processingStateMessage?: string;
    percentComplete?: number;
    addedTime?: number;
    startedTime?: number;
    completedTime?: number;
}

export interface Stored {
    id: string;
    title?: string;
    [field: string]: unknown;
}

export interface Overview {
    agenda: Stored;
    operations: number;
    progress: Stored & { diagnosticEvents?: { message?: string; statusCode?: string; time?: number }[] };
    work: Work;
    ahead: number | null;
    reportTime: number | null;
    logs: string[];
}

export interface RunReport {
    source: "executor" | "progress";
    time: number;
    /** Milliseconds from `time` to the answer, on the clock of the service. */
    ageMs: number;
    data: PageData;
}

export interface OperationLog {
    operation: string;
    attempt: number;
    text: string;
    isCut: boolean;
    updatedTime: number;
}

export function may(session: Session, scope: string): boolean {
    return session.scopes.includes(scope) || session.scopes.includes("admin");
}
