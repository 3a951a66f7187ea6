/* A disk that is full: the broker says so, loses nothing that it acknowledged, and goes on when there is room. */
import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, unlinkSync, writeSync } from 'node:fs';
import net from 'node:net';
import test from 'node:test';
import { limits, raw, smallDisk, tick, until, within } from './lib.mjs';

/* Fills what is left, to the last byte. */
function fill(file) {
    const fd = openSync(file, 'w');
    try {
        for (const size of [1 << 16, 1 << 12, 512, 1]) for (;;) if (writeSync(fd, Buffer.alloc(size)) < size) break;
    } catch (e) {
        if (e.code !== 'ENOSPC') throw e;
    } finally {
        closeSync(fd);
    }
}

test('the disk fills up, and is freed again', limits, within(async (w, t) => {
    const disk = await smallDisk(w, 'disk', 24_000);
    if (!disk) return t.skip('no user namespaces here');
    const broker = await w.broker({ data: 'disk/data', wrap: disk.wrap });
    const agent = await w.agent(broker, { slots: 2 }).start();
    const running = await broker.simulate({ duration_ms: 3000, result: 'done while full' });
    await broker.state(running, 'in_progress');

    const filler = disk.inside(broker.process, 'filler');
    fill(filler);
    const acknowledged = new Map();
    let refusal;
    const payload = { duration_ms: 5, text: 'x'.repeat(20_000) };
    for (let n = 0; n < 2000 && !refusal; n++) {
        const r = await broker.post('/api/jobs', { service_required: 'simulation', payload: { ...payload, n }, pool: 'heavy', region: 'none', wait: true }, { 'idempotency-key': `full-${n}` });
        if (r.status === 201) acknowledged.set(n, r.body.job_id);
        else refusal = { n, ...r };
    }
    assert.ok(refusal, 'at some point the broker has to refuse');
    assert.ok([507, 503].includes(refusal.status), `${refusal.status} ${refusal.text}`);
    assert.match(refusal.body.error, /room|full|disk/i);
    assert.equal(refusal.body.code, 'disk_full');

    const ready = await until(async () => {
        const r = await broker.get('/ready');
        return r.status === 503 && r;
    }, 'the broker to say that it is not ready');
    assert.match(ready.body.error, /room|full|disk/i);
    assert.equal((await broker.get('/health')).status, 200, 'alive it is');
    for (const [method, path, body] of [['POST', '/api/jobs/batch', { jobs: [{ service_required: 'simulation' }] }], ['POST', '/api/models', { name: 'm', bytes: 1 }], ['POST', `/api/jobs/${running}/cancel`]])
        assert.ok([507, 503].includes((await broker.request(method, path, body)).status), `${method} ${path}`);
    for (const id of acknowledged.values()) assert.equal((await broker.job(id)).status, 'pending', 'reading goes on');

    unlinkSync(filler);
    await until(async () => (await broker.get('/ready')).status === 200, 'the broker to recover');
    const job = await broker.state(running, 'completed');
    assert.deepEqual([job.result, job.attempts.length], ['done while full', 1], 'the agent kept the result');
    const again = await broker.post('/api/jobs', { service_required: 'simulation', payload: { ...payload, n: refusal.n }, pool: 'heavy', region: 'none', wait: true }, { 'idempotency-key': `full-${refusal.n}` });
    assert.equal(again.status, 201, 'the refused one, repeated with its key');
    acknowledged.set(refusal.n, again.body.job_id);
    await broker.state(await broker.simulate(), 'completed');

    const check = async () => {
        const total = (await broker.get('/api/jobs?status=pending&limit=0')).body.total;
        assert.equal(total, acknowledged.size, 'all that was acknowledged, once each');
        for (const [n, id] of acknowledged) assert.equal((await broker.job(id)).payload.n, n);
    };
    await check();
    assert.ok(agent.process.alive && broker.process.alive);
}));

test('kill -9 while the disk is full: what was acknowledged is there afterwards', limits, within(async (w, t) => {
    const disk = await smallDisk(w, 'disk', 16_000);
    if (!disk) return t.skip('no user namespaces here');
    const broker = await w.broker({ data: 'disk/data', wrap: disk.wrap });
    // The namespace, and with it the disk, lives as long as a process in it.
    const keeper = w.start('keeper', ['help'], {}, ['nsenter', '-U', '-m', '--preserve-credentials', '-t', String(broker.process.pid), 'sh', '-c', 'exec sleep 1000']);
    const inside = (...names) => disk.inside(keeper, ...names);
    const acknowledged = new Set();
    const submit = async (n) => broker.post('/api/jobs', { service_required: 'simulation', payload: { n, text: 'x'.repeat(20_000) } });
    for (let n = 0; n < 20; n++) acknowledged.add((await submit(n)).body.job_id);
    await until(() => existsSync(inside('data', 'emp.db')), 'the keeper to be inside');
    fill(inside('filler'));
    for (let n = 20; n < 2000; n++) {
        const r = await submit(n);
        if (r.status !== 201) break;
        acknowledged.add(r.body.job_id);
    }
    await broker.kill();
    unlinkSync(inside('filler'));
    broker.wrap = ['nsenter', '-U', '-m', '--preserve-credentials', '-t', String(keeper.pid)];
    await broker.start();
    for (const id of acknowledged) assert.equal((await broker.job(id)).status, 'pending');
    await broker.simulate();
}));

test('more connections than the system has descriptors: the store keeps its own', limits, within(async (w) => {
    const broker = await w.broker({ wrap: ['sh', '-c', 'ulimit -n 160 && exec "$@"', 'sh'] });
    assert.match(broker.process.output, /ulimit -n/, 'it says that there are fewer than configured');
    await w.agent(broker).start();
    const running = await broker.simulate({ duration_ms: 3000 });
    const idle = Array.from({ length: 300 }, () => net.connect(broker.port, '127.0.0.1').on('error', () => {}));
    await Promise.all(idle.map((s) => new Promise((done) => s.once('connect', done).once('error', done))));
    const waiting = raw(broker.port, { method: 'POST', path: '/api/jobs', body: '{"service_required":"simulation"}' });
    await tick(4000); // the job ends meanwhile, and is kept
    for (const s of idle) s.destroy();
    assert.equal((await waiting).status, 201, 'who waited in the queue of connections is served');
    assert.deepEqual((await broker.state(running, 'completed')).attempts.length, 1);
    await broker.state((await waiting).body.job_id, 'completed');
    assert.doesNotMatch(broker.process.output, /too many open files|cannot be/i);
}));
