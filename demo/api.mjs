/* The few requests to the broker that the demo makes. Over node:http: in Node 18 `fetch` still warns
 * that it is experimental. */
import http from 'node:http';

const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
const ANSWER_MS = 30_000;
const AWAY_MS = 20_000; // a broker that was killed is back by then

/* {status, bytes} */
function send(url, method, body) {
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
        req.on('error', reject);
        req.end(body);
    });
}

/* What only asks is asked again while the broker is away, or reads its store after a start. */
async function ask(url, awayMs = AWAY_MS) {
    const end = Date.now() + awayMs;
    for (;;) {
        try {
            const res = await send(url, 'GET');
            if (res.status !== 503 || Date.now() > end) return res;
        } catch (e) {
            if (!['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(e.code) || Date.now() > end) throw e;
        }
        await new Promise((done) => setTimeout(done, 200));
    }
}

/* The parsed answer of a JSON request: GET, or POST where there is a body. An Error with the broker's
 * own words when it says no. */
export async function api(broker, path, { body, awayMs } = {}) {
    const res = await (body === undefined
        ? ask(broker + path, awayMs)
        : send(broker + path, 'POST', JSON.stringify(body)));
    let answer;
    try {
        answer = JSON.parse(res.bytes.toString('utf8'));
    } catch {
        throw new Error(`${path}: HTTP ${res.status}, and no JSON`);
    }
    if (res.status >= 300) throw new Error(`${path}: ${answer.error}`);
    return answer;
}

/* The bytes of an output file. */
export async function artifact(broker, url) {
    const res = await ask(broker + url);
    if (res.status !== 200) throw new Error(`${url}: HTTP ${res.status}`);
    return res.bytes;
}
