/* A model origin on loopback: serves a few files by name, with ranges and entity tags, as an object
 * store would. */
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';

/* {first, last} of "bytes=A-" or "bytes=A-B"; null: no range asked for; undefined: none there. */
function range(header, size) {
    const m = /^bytes=(\d+)-(\d*)$/.exec(header ?? '');
    if (!m) return null;
    const first = Number(m[1]);
    const last = m[2] ? Math.min(Number(m[2]), size - 1) : size - 1;
    return first <= last ? { first, last } : undefined;
}

function answer(files, req, res) {
    const path = files.get(req.url.slice(1));
    if (!path) return res.writeHead(404).end();
    if (req.method !== 'GET' && req.method !== 'HEAD') return res.writeHead(405).end();
    const { size, mtimeMs } = statSync(path);
    const etag = `"${size}-${Math.floor(mtimeMs)}"`;
    const same = [undefined, etag].includes(req.headers['if-range']);
    const part = same ? range(req.headers.range, size) : null;
    if (part === undefined) {
        return res.writeHead(416, { 'Content-Range': `bytes */${size}` }).end();
    }
    const { first, last } = part ?? { first: 0, last: size - 1 };
    res.writeHead(part ? 206 : 200, {
        'Content-Type': 'application/octet-stream',
        'Content-Length': last - first + 1,
        'Accept-Ranges': 'bytes',
        ETag: etag,
        ...(part ? { 'Content-Range': `bytes ${first}-${last}/${size}` } : {}),
    });
    if (req.method === 'HEAD') return res.end();
    const file = createReadStream(path, { start: first, end: last });
    file.on('error', () => res.destroy());
    res.on('close', () => file.destroy());
    return file.pipe(res);
}

/* Serves `files` (name → path) on 127.0.0.1, on a port of the system's choosing: {url, close}. */
export function startOrigin(files) {
    const server = createServer((req, res) => {
        try {
            answer(files, req, res);
        } catch {
            res.destroy();
        }
    });
    return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', () => {
            const close = () => {
                server.close();
                server.closeAllConnections();
            };
            resolve({ url: `http://127.0.0.1:${server.address().port}`, close });
        });
    });
}
