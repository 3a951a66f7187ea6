// A model origin on loopback: serves a few files by name, with ranges, as an object store would.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';

/** Parses "bytes=A-" or "bytes=A-B"; null when there is none, undefined when it cannot be satisfied. */
function range(header, size) {
  const m = /^bytes=(\d+)-(\d*)$/.exec(header ?? '');
  if (!m) return null;
  const first = Number(m[1]);
  const last = m[2] ? Math.min(Number(m[2]), size - 1) : size - 1;
  return first <= last ? { first, last } : undefined;
}

/** Serves `files` (name → path) on 127.0.0.1; resolves to { url, close }. */
export function startOrigin(files) {
  const server = createServer((req, res) => {
    const path = files.get(decodeURIComponent(req.url.slice(1)));
    if (!path) {
      res.writeHead(404).end();
      return;
    }
    const size = statSync(path).size;
    const part = range(req.headers.range, size);
    if (part === undefined) {
      res.writeHead(416, { 'Content-Range': `bytes */${size}` }).end();
      return;
    }
    const { first, last } = part ?? { first: 0, last: size - 1 };
    const head = { 'Content-Length': last - first + 1, 'Accept-Ranges': 'bytes' };
    if (part) head['Content-Range'] = `bytes ${first}-${last}/${size}`;
    res.writeHead(part ? 206 : 200, head);
    createReadStream(path, { start: first, end: last }).pipe(res);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const url = `http://127.0.0.1:${server.address().port}`;
      resolve({ url, close: () => (server.closeAllConnections?.(), server.close()) });
    });
  });
}
