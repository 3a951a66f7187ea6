/* What the integration tests share: real brokers and agents as child processes on ports of the system's choosing, in temporary
 * directories; requests; conditions that are waited for, never a fixed time. Every process is ended by its own pid, and nothing is
 * left behind. Node 18, no packages.
 *
 * The program under test is $EMP, else build/emp. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { answerFaults, faults, schema } from './openapi.mjs';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const emp = process.env.EMP ?? path.join(root, 'build/emp');
if (!existsSync(emp)) throw new Error(`${emp} is not there: build it first (./dev build), or name it in EMP`);

export const slow = Number(process.env.EMP_TEST_SLOW ?? 1); // factor for sanitised builds
const WAIT_MS = 30_000 * slow;
/* For tests: longer than any single wait, so that a failing one says what it waited for. */
export const limits = { timeout: 4 * WAIT_MS };

/* ---------------------------------------------------------------- conditions */

export const tick = (ms = 15) => new Promise((done) => setTimeout(done, ms));

/* Waiting any longer is of no use. */
class Fatal extends Error {}

/* Asks until `check` returns something true, and returns that; fails with `what` after a generous while. */
export async function until(check, what, limitMs = WAIT_MS) {
    const end = Date.now() + limitMs;
    let last;
    while (Date.now() < end) {
        try {
            const value = await check();
            if (value) return value;
            last = value;
        } catch (e) {
            if (e instanceof Fatal) throw e;
            last = e;
        }
        await tick();
    }
    throw new Error(`waited ${limitMs / 1000} s in vain for ${what}; last: ${last instanceof Error ? last.message : JSON.stringify(last)}`);
}

/* Seeded randomness (mulberry32), so that a failing run can be repeated: the seed is printed and taken from EMP_TEST_SEED. */
export function random(seed) {
    let a = seed >>> 0;
    return () => {
        a = (a + 0x6d2b79f5) >>> 0;
        let t = a;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
}

/* ---------------------------------------------------------------- processes */

const OUTPUT_KEPT = 4_000_000; // characters
const living = new Set();
process.on('exit', () => {
    for (const p of living) p.kill('SIGKILL');
});

class Process {
    constructor(name, args, env, wrap = []) {
        this.name = name;
        this.output = '';
        this.stdout = '';
        this.stderr = '';
        const [program, ...words] = [...wrap, emp, ...args];
        this.child = spawn(program, words, { env: { ...cleanEnv(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
        this.pid = this.child.pid;
        living.add(this.child);
        const take = (stream) => (chunk) => {
            this.output = (this.output + chunk).slice(-OUTPUT_KEPT);
            this[stream] = (this[stream] + chunk).slice(-OUTPUT_KEPT);
        };
        this.child.stdout.setEncoding('utf8').on('data', take('stdout'));
        this.child.stderr.setEncoding('utf8').on('data', take('stderr'));
        this.ended = new Promise((done) => {
            this.child.on('close', (code, signal) => {
                living.delete(this.child);
                this.status = code ?? signal;
                done(this.status);
            });
        });
    }
    get alive() {
        return this.status === undefined;
    }
    kill(signal = 'SIGKILL') {
        if (this.alive) process.kill(this.pid, signal);
        return this.ended;
    }
    async line(pattern) {
        return until(() => {
            const m = this.output.match(pattern);
            if (!m && !this.alive) throw new Fatal(`${this.name} ended with ${this.status}:\n${this.output}`);
            return m;
        }, `${pattern} from ${this.name}\n${this.output}`);
    }
}

function cleanEnv() {
    const env = { ...process.env };
    for (const key of Object.keys(env)) if (key.startsWith('EMP_') && key !== 'EMP_TEST_SLOW') delete env[key];
    return env;
}

/* ---------------------------------------------------------------- a world of its own for one test */

export class World {
    constructor() {
        this.dir = mkdtempSync(path.join(tmpdir(), 'emp-test-'));
        this.processes = [];
        this.cleanups = [];
        this.count = 0;
    }
    path(...names) {
        return path.join(this.dir, ...names);
    }
    file(name, content) {
        const p = this.path(name);
        writeFileSync(p, typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content, null, 1));
        return p;
    }
    start(name, args, env, wrap) {
        const p = new Process(name, args, env, wrap);
        this.processes.push(p);
        return p;
    }
    /* One run of `emp` to its end: {status, stdout, stderr}. */
    async run(args, env) {
        const p = this.start(`emp ${args[0]}`, args, env);
        await p.ended;
        return p;
    }
    async broker(options = {}) {
        const b = new Broker(this, options);
        await b.start();
        return b;
    }
    agent(broker, options = {}) {
        return new Agent(this, broker, options);
    }
    origin() {
        return new Origin(this).start();
    }
    later(fn) {
        this.cleanups.push(fn);
    }
    /* A part of this world with names of its own, for tests that need several brokers; it ends with the whole. */
    part() {
        const prefix = `part-${this.count++}-`;
        return Object.assign(Object.create(this), { path: (name, ...names) => this.path(prefix + name, ...names) });
    }
    async end() {
        for (const p of this.processes) if (p.alive) await p.kill('SIGKILL');
        for (const fn of this.cleanups.reverse()) await fn();
        rmSync(this.dir, { recursive: true, force: true });
    }
}

/* Runs a test in a world that is cleared away afterwards; a failing one shows what the processes said. */
export function within(fn) {
    return async (t) => {
        const world = new World();
        try {
            await fn(world, t);
        } catch (e) {
            for (const p of world.processes) t.diagnostic(`--- ${p.name} (${p.alive ? 'alive' : p.status})\n${p.output.slice(-4000)}`);
            throw e;
        } finally {
            await world.end();
        }
    };
}

export class Broker {
    constructor(world, { config, args = [], env = {}, data = 'broker', listen = '127.0.0.1:0', key, wrap } = {}) {
        Object.assign(this, { world, config, args, env, key, listen, wrap });
        this.data = world.path(data);
    }
    async start() {
        const args = ['serve', '--listen', this.port ? `127.0.0.1:${this.port}` : this.listen, '--data', this.data, ...this.args];
        if (this.config !== undefined) args.push('--config', this.world.file(`broker-${this.world.count++}.yaml`, this.config));
        this.process = this.world.start('broker', args, this.env, this.wrap);
        const m = await this.process.line(/emp: listening on (http:\/\/\S+:(\d+))/);
        this.url = m[1];
        this.port = Number(m[2]);
        return this;
    }
    get ws() {
        return this.url.replace('http', 'ws');
    }
    kill() {
        return this.process.kill('SIGKILL');
    }
    stop() {
        return this.process.kill('SIGTERM');
    }
    async restart() {
        if (this.process.alive) await this.stop();
        return this.start();
    }

    /* One request: {status, headers, body (parsed JSON where it is JSON), text}. Every answer is held against docs/openapi.yaml. */
    async request(method, target, body, headers = {}) {
        const auth = this.key ? { authorization: `Bearer ${this.key}` } : {};
        const isRaw = typeof body === 'string' || body instanceof Uint8Array;
        const answer = await raw(this.port, {
            method,
            path: target,
            headers: { ...auth, ...(body !== undefined ? { 'content-type': 'application/json' } : {}), ...headers },
            body: body === undefined || isRaw ? body : JSON.stringify(body),
        });
        const broken = answerFaults(method, target, answer);
        if (broken.length > 0)
            throw new Fatal(`${method} ${target} → ${answer.status} is not as docs/openapi.yaml says: ${broken.slice(0, 5).join('; ')}\n${answer.text.slice(0, 2000)}`);
        return answer;
    }
    get(target, headers) {
        return this.request('GET', target, undefined, headers);
    }
    post(target, body, headers) {
        return this.request('POST', target, body, headers);
    }
    delete(target) {
        return this.request('DELETE', target);
    }

    async submit(job) {
        const r = await this.post('/api/jobs', job);
        if (r.status !== 201) throw new Error(`submission answered ${r.status} ${r.text}`);
        return r.body.job_id;
    }
    simulate(payload = {}, more = {}) {
        return this.submit({ service_required: 'simulation', payload: { duration_ms: 20, ...payload }, ...more });
    }
    async job(id) {
        const r = await this.get(`/api/jobs/${id}`);
        if (r.status !== 200) throw new Error(`job ${id} answered ${r.status} ${r.text}`);
        return r.body.job;
    }
    async jobUntil(id, check, what) {
        return until(async () => {
            const j = await this.job(id);
            return check(j) ? j : undefined;
        }, `job ${id} to be ${what}`);
    }
    state(id, ...states) {
        return this.jobUntil(id, (j) => states.includes(j.status), states.join(' or '));
    }
    done(id) {
        return this.state(id, 'completed', 'failed', 'cancelled');
    }
    async machines() {
        return (await this.get('/api/machines')).body.machines;
    }
    async metric(name) {
        const text = (await this.get('/metrics')).text;
        const line = text.split('\n').find((l) => l.startsWith(name) && /^[ {]/.test(l.slice(name.length)));
        return line === undefined ? undefined : Number(line.split(' ').pop());
    }
}

export class Agent {
    constructor(world, broker, { pool = 'fast-lane', slots = 1, connector = 'simulation', args = [], env = {}, config, name, token, wrap } = {}) {
        Object.assign(this, { world, broker, pool, slots, connector, args, env, config, token, wrap });
        this.name = name ?? `agent-${world.count++}`;
        this.data = world.path(this.name);
    }
    launch() {
        const args = ['agent', '--broker', this.broker.ws, '--data', this.data, '--slots', String(this.slots)];
        if (this.pool) args.push('--pool', this.pool);
        if (this.connector) args.push('--connector', this.connector);
        if (this.config !== undefined) args.push('--config', this.world.file(`${this.name}.yaml`, this.config));
        this.process = this.world.start(this.name, [...args, ...this.args], {
            ...(this.token ? { EMP_AGENT_TOKEN: this.token } : {}),
            ...this.env,
        }, this.wrap);
        return this;
    }
    /* Starts, and waits until the broker counts it as connected. */
    async start() {
        const before = new Set((await this.broker.machines()).filter((m) => m.status === 'connected').map((m) => m.boot_id));
        this.launch();
        const machine = await until(async () => {
            if (!this.process.alive) throw new Error(`${this.name} ended with ${this.process.status}:\n${this.process.output}`);
            return (await this.broker.machines()).find((m) => m.status === 'connected' && !before.has(m.boot_id));
        }, `${this.name} to be connected`);
        this.id = machine.machine_id;
        return this;
    }
    machine() {
        return this.broker.get(`/api/machines/${this.id}`).then((r) => r.body.machine);
    }
    kill() {
        return this.process.kill('SIGKILL');
    }
    stop() {
        return this.process.kill('SIGTERM');
    }
    async restart() {
        if (this.process.alive) await this.stop();
        return this.start();
    }
}

/* ---------------------------------------------------------------- small disks */

/* A disk of its own for one process: a tmpfs in a mount namespace. `wrap` goes to a broker or an agent; `inside(process, path)` is the
 * path as seen from here. undefined where neither root nor user namespaces are to be had. */
export async function smallDisk(world, name, kilobytes) {
    const dir = world.path(name);
    mkdirSync(dir);
    const script = 'mount -t tmpfs -o size="$1"k none "$2" && shift 2 && exec "$@"';
    const wrap = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', String(kilobytes), dir];
    const probe = spawn(wrap[0], [...wrap.slice(1), 'true'], { stdio: 'ignore' });
    const status = await new Promise((done) => probe.on('close', done).on('error', () => done(-1)));
    return status === 0 ? { dir, wrap, inside: (p, ...names) => path.join(`/proc/${p.pid}/root`, dir, ...names) } : undefined;
}

/* Is this process still there? A zombie is not. */
export function processLives(pid) {
    try {
        return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
        return false;
    }
}

/* ---------------------------------------------------------------- models */

/* A model's content, made from its name, with the catalogue's entry for it. */
export function model(name, bytes, urls, more = {}) {
    const content = Buffer.alloc(bytes);
    const rand = random([...name].reduce((h, c) => (Math.imul(h, 31) + c.charCodeAt(0)) | 0, bytes));
    for (let i = 0; i + 4 <= bytes; i += 4) content.writeUInt32LE(Math.floor(rand() * 4294967296), i);
    const sha256 = createHash('sha256').update(content).digest('hex');
    return { content, sha256, entry: { name, bytes, sha256, urls, ...more } };
}

/* An HTTP origin of models whose behaviour each test decides: `serve(req, res, content, range)` answers one request; the default does
 * it well. requests: [{path, range, status}]. */
export class Origin {
    constructor(world) {
        this.files = new Map();
        this.requests = [];
        this.sockets = new Set();
        this.server = http.createServer((req, res) => this.answer(req, res));
        this.server.on('connection', (s) => {
            this.sockets.add(s);
            s.on('close', () => this.sockets.delete(s)).on('error', () => {});
        });
        world.later(() => this.close());
    }
    async start() {
        await new Promise((done) => this.server.listen(0, '127.0.0.1', done));
        this.url = `http://127.0.0.1:${this.server.address().port}`;
        return this;
    }
    close() {
        for (const s of this.sockets) s.destroy();
        return new Promise((done) => this.server.close(done));
    }
    /* Publishes a model; `serve` is this file's behaviour. Returns its catalogue entry. */
    add(name, bytes, serve = Origin.well, more = {}) {
        const m = model(name, bytes, [`${this.url}/${name}`], more);
        this.files.set(`/${name}`, { content: m.content, serve });
        return m.entry;
    }
    count(name) {
        return this.requests.filter((r) => r.path === `/${name}`).length;
    }
    answer(req, res) {
        const range = /^bytes=(\d+)-$/.exec(req.headers.range ?? '');
        const request = { path: req.url, range: range ? Number(range[1]) : undefined, headers: req.headers };
        this.requests.push(request);
        res.on('error', () => {});
        const file = this.files.get(req.url);
        if (!file) res.writeHead(404).end('no such file');
        else file.serve(req, res, file.content, request.range ?? 0, this.count(req.url.slice(1)));
    }
    /* From `from` on, with the headers that resuming needs. */
    static head(res, content, from) {
        const headers = { 'content-length': content.length - from, 'accept-ranges': 'bytes', etag: '"1"' };
        if (from > 0) res.writeHead(206, { ...headers, 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` });
        else res.writeHead(200, headers);
    }
    static well(req, res, content, from) {
        Origin.head(res, content, from);
        res.end(content.subarray(from));
    }
}

/* ---------------------------------------------------------------- HTTP and WebSocket by hand */

export function raw(port, { method = 'GET', path: target = '/', headers = {}, body, host = '127.0.0.1' } = {}) {
    return new Promise((done, fail) => {
        const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
        const req = http.request({ host, port, method, path: target, headers: { ...length, ...headers }, agent: false }, (res) => {
            const chunks = [];
            res.on('data', (c) => chunks.push(c));
            res.on('error', fail);
            res.on('end', () => {
                const bytes = Buffer.concat(chunks);
                const text = bytes.toString('utf8');
                let parsed;
                try {
                    parsed = JSON.parse(text);
                } catch {
                    parsed = undefined;
                }
                done({ status: res.statusCode, headers: res.headers, body: parsed, text, bytes });
            });
        });
        req.on('error', fail);
        req.setTimeout(WAIT_MS, () => req.destroy(new Error(`${method} ${target}: no answer`)));
        if (body !== undefined) req.write(body);
        req.end();
    });
}

/* Bytes as they are over a socket; resolves with all that came back until the peer closed or `until` matches. */
export function socketTalk(port, bytes, { until: pattern, limitMs = WAIT_MS } = {}) {
    return new Promise((done, fail) => {
        let text = '';
        const s = net.connect(port, '127.0.0.1', () => s.write(bytes));
        const timer = setTimeout(() => s.destroy(new Error('no answer on the socket')), limitMs);
        const finish = () => {
            clearTimeout(timer);
            s.destroy();
            done(text);
        };
        s.setEncoding('latin1').on('data', (d) => {
            text += d;
            if (pattern?.test(text)) finish();
        });
        s.on('error', (e) => (text ? finish() : (clearTimeout(timer), fail(e))));
        s.on('close', finish);
    });
}

/* Server-sent events of a path: an async iterator of {event, data}; ends when the broker ends the stream. */
export async function* sse(broker, target, { signal } = {}) {
    const headers = broker.key ? { authorization: `Bearer ${broker.key}` } : {};
    const res = await fetch(broker.url + target, { headers, signal });
    if (res.status !== 200) throw new Error(`${target} answered ${res.status}`);
    if (!/^text\/event-stream/.test(res.headers.get('content-type'))) throw new Error('not an event stream');
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of res.body) {
        text += decoder.decode(chunk, { stream: true });
        for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
            const event = { event: 'message', data: '' };
            for (const line of text.slice(0, end).split('\n')) {
                if (line.startsWith('event: ')) event.event = line.slice(7);
                if (line.startsWith('data: ')) event.data += line.slice(6);
                if (line.startsWith(':')) event.comment = line.slice(1).trim();
            }
            if (event.data) {
                event.data = JSON.parse(event.data);
                const broken = faults(event.data, schema('JobEvent'));
                if (broken.length > 0) throw new Fatal(`an event is not as docs/openapi.yaml says: ${broken.join('; ')}`);
            }
            yield event;
        }
    }
}

/* A WebSocket client that says what it is told to, frame by frame; for agents that misbehave. */
export class Socket {
    constructor(port, target, headers = {}) {
        this.messages = [];
        this.opened = new Promise((done, fail) => {
            const req = http.request({
                host: '127.0.0.1',
                port,
                path: target,
                agent: false,
                headers: {
                    connection: 'Upgrade',
                    upgrade: 'websocket',
                    'sec-websocket-version': '13',
                    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
                    ...headers,
                },
            });
            req.on('upgrade', (res, socket, head) => {
                this.socket = socket;
                this.buffer = head;
                socket.on('data', (d) => {
                    this.buffer = Buffer.concat([this.buffer, d]);
                    this.parse();
                });
                socket.on('error', () => {});
                socket.on('close', () => {
                    this.closed = true;
                });
                this.parse();
                done(this);
            });
            req.on('response', (res) => {
                res.resume();
                fail(Object.assign(new Error(`upgrade answered ${res.statusCode}`), { status: res.statusCode }));
            });
            req.on('error', fail);
            req.end();
        });
    }
    parse() {
        for (;;) {
            const b = this.buffer;
            if (b.length < 2) return;
            let length = b[1] & 0x7f;
            let at = 2;
            if (length === 126) {
                if (b.length < 4) return;
                length = b.readUInt16BE(2);
                at = 4;
            } else if (length === 127) {
                if (b.length < 10) return;
                length = Number(b.readBigUInt64BE(2));
                at = 10;
            }
            if (b.length < at + length) return;
            const data = b.subarray(at, at + length);
            this.buffer = b.subarray(at + length);
            const opcode = b[0] & 0x0f;
            if (opcode === 8) {
                this.close = { code: data.length >= 2 ? data.readUInt16BE(0) : 1005, reason: data.subarray(2).toString() };
                this.frame(8, data);
            } else if (opcode === 9) this.frame(10, data);
            else if (opcode === 1) this.messages.push(JSON.parse(data.toString()));
        }
    }
    frame(opcode, payload, { fin = true, mask = true } = {}) {
        const data = Buffer.from(payload);
        const head = [(fin ? 0x80 : 0) | opcode];
        const bit = mask ? 0x80 : 0;
        if (data.length < 126) head.push(bit | data.length);
        else if (data.length < 65536) head.push(bit | 126, data.length >> 8, data.length & 255);
        else {
            const n = Buffer.alloc(8);
            n.writeBigUInt64BE(BigInt(data.length));
            head.push(bit | 127, ...n);
        }
        const key = Buffer.from([1, 2, 3, 4]);
        const body = mask ? data.map((v, i) => v ^ key[i & 3]) : data;
        this.socket.write(Buffer.concat([Buffer.from(head), mask ? key : Buffer.alloc(0), body]));
    }
    send(message) {
        this.frame(1, typeof message === 'string' ? message : JSON.stringify(message));
    }
    message(type) {
        return until(() => this.messages.find((m) => m.type === type), `message ${type}; got ${JSON.stringify(this.messages)}`);
    }
    ended() {
        return until(() => this.closed && (this.close ?? { code: 1006 }), 'the connection to be closed');
    }
    destroy() {
        this.socket?.destroy();
    }
}
