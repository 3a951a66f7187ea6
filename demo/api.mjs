/* The few requests to the broker that the demo makes. Over node:http: in Node 18 `fetch` still warns
 * that it is experimental. */
import http from 'node:http';

const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
const ANSWER_MS = 30_000;

/* {status, bytes}. A connection that the broker closed while it was idle is tried once more. */
function send(url, method, body, again = true) {
    return new Promise((resolve, reject) => {
        const headers = body === undefined
            ? {}
            : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
        const req = http.request(url, { method, headers, agent }, (res) => {
            const chunks = [];
            res.on('data', (c) => chunks.push(c));
            res.on('error', reject);
            res.on('end', () => resolve({ status: res.statusCode, bytes: Buffer.concat(chunks) }));
        });
        req.setTimeout(ANSWER_MS, () => req.destroy(new Error(`${method} ${url}: no answer`)));
        req.on('error', (e) => {
            if (again && req.reusedSocket) resolve(send(url, method, body, false));
            else reject(e);
        });
        req.end(body);
    });
}

/* The parsed answer of a JSON request; an Error with the broker's own words when it says no. */
export async function api(broker, path, { method = 'GET', body } = {}) {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const res = await send(broker + path, method, text);
    let answer;
    try {
        answer = JSON.parse(res.bytes.toString('utf8'));
    } catch {
        throw new Error(`${method} ${path}: HTTP ${res.status}, and no JSON`);
    }
    if (res.status >= 300) throw new Error(`${method} ${path}: ${answer.error}`);
    return answer;
}

/* The bytes of an output file. */
export async function artifact(broker, url) {
    const res = await send(broker + url, 'GET');
    if (res.status !== 200) throw new Error(`GET ${url}: HTTP ${res.status}`);
    return res.bytes;
}
