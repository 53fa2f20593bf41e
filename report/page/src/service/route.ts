// The address of a page: `#/name/id?filter=value`, so that the server needs one file only.

import { useEffect, useState } from "preact/hooks";

export interface Route {
    name: string;
    id: string;
    query: URLSearchParams;
}

function read(): Route {
    const [path, query] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
    const [name, ...id] = path.split("/");
    let decoded = "";
    try {
        decoded = decodeURIComponent(id.join("/"));
    } catch {
        // an address that nobody has made
    }
    return { name, id: decoded, query: new URLSearchParams(query ?? "") };
}

export function useRoute(): Route {
    const [route, setRoute] = useState(read);
    useEffect(() => {
        const change = () => setRoute(read());
        addEventListener("hashchange", change);
        return () => removeEventListener("hashchange", change);
    }, []);
    return route;
}

export function address(name: string, id = "", query: Record<string, string> = {}): string {
    const words = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
    return `#/${name}${id ? `/${encodeURIComponent(id)}` : ""}${words ? `?${words}` : ""}`;
}

export function go(to: string, isReplaced = false) {
    if (isReplaced) {
        history.replaceState(null, "", to);
        dispatchEvent(new HashChangeEvent("hashchange"));
    } else location.hash = to;
}
