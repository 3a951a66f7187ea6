/* Machines that come and go: silent ones, broken connections, restarts, twins; and fencing: what an older attempt says changes nothing. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, it } from 'node:test';
import { limits, Socket, tick, until, within } from './lib.mjs';

/* A way to the broker that can be cut: agents connect to it, the broker sees connections come and go. */
async function wire(w, broker) {
    const pairs = new Set();
    let open = true;
    const server = net.createServer((a) => {
        if (!open) return a.destroy();
        const b = net.connect(broker.port, '127.0.0.1');
        const pair = [a, b];
        pairs.add(pair);
        for (const [x, y] of [[a, b], [b, a]]) {
            x.pipe(y);
            x.on('error', () => {}).on('close', () => {
                y.destroy();
                pairs.delete(pair);
            });
        }
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    w.later(() => {
        for (const p of pairs) p.forEach((s) => s.destroy());
        return new Promise((done) => server.close(done));
    });
    const cut = () => pairs.forEach((p) => p.forEach((s) => s.destroy()));
    return {
        through: Object.create(broker, { ws: { value: `ws://127.0.0.1:${server.address().port}` } }),
        cut,
        close() {
            open = false;
            cut();
        },
        reopen() {
            open = true;
        },
    };
}

const hello = (id, boot, more = {}) => ({ type: 'hello', protocol: 1, machine: { id, boot, services: ['simulation'], slots: 1, cpu_cores: 8, ram_bytes: 16e9, ...more.machine }, ...more.top });

describe('machines that leave', { concurrency: 5 }, () => {
    it('a silent machine loses its leases within 10 s; when it wakes, its result counts no more', limits, within(async (w) => {
        const broker = await w.broker();
        const silent = await w.agent(broker).start();
        const id = await broker.simulate({ duration_ms: 3000, result: 'from the first' });
        await broker.state(id, 'in_progress');
        const other = await w.agent(broker).start();
        silent.process.kill('SIGSTOP');
        const start = Date.now();
        const job = await broker.jobUntil(id, (j) => j.machine_id === other.id && j.status === 'in_progress', 'with the other');
        const took = Date.now() - start;
        assert.ok(took >= 2000 && took <= 10_500, `after ${took} ms`);
        assert.deepEqual(job.attempts.map((a) => [a.outcome, a.counted]), [['lost', false], ['running', job.attempts[1].counted]]);
        process.kill(silent.process.pid, 'SIGCONT');
        await until(async () => (await silent.machine()).status === 'connected', 'the silent one to be back');
        const done = await broker.state(id, 'completed');
        assert.deepEqual(done.attempts.map((a) => [a.attempt, a.outcome, a.machine_id]), [[1, 'lost', silent.id], [2, 'completed', other.id]]);
        assert.equal((await broker.state(await broker.simulate(), 'completed')).status, 'completed');
    }));

    it('a closed connection gets no new work at once, and keeps its leases for five seconds', limits, within(async (w) => {
        const broker = await w.broker();
        const line = await wire(w, broker);
        const agent = await w.agent(line.through, { slots: 2 }).start();
        const id = await broker.simulate({ duration_ms: 20_000 });
        await broker.state(id, 'in_progress');
        line.close();
        await until(async () => (await agent.machine()).status === 'away', 'the machine to be away');
        const waiting = await broker.simulate({ duration_ms: 10 });
        const start = Date.now();
        await tick(1500);
        assert.equal((await broker.job(waiting)).status, 'pending', 'nothing new');
        assert.equal((await broker.job(id)).status, 'in_progress', 'still its lease');
        line.reopen();
        const back = await broker.state(waiting, 'completed');
        assert.equal(back.machine_id, agent.id);
        assert.equal((await broker.job(id)).attempts.length, 1, 'returned in time: the same attempt goes on');
        assert.ok(Date.now() - start < 6000);

        line.close();
        const gone = Date.now();
        const lost = await broker.jobUntil(id, (j) => j.attempts[0].outcome === 'lost', 'lost');
        const took = Date.now() - gone;
        assert.ok(took >= 4000 && took < 8000, `after ${took} ms`);
        assert.equal(lost.attempts[0].counted, false);
        line.reopen();
        const again = await broker.jobUntil(id, (j) => j.attempts.length === 2 && j.status === 'in_progress', 'the second attempt');
        assert.equal(again.machine_id, agent.id, 'it comes back, stops the old run, and takes it anew');
    }));

    it('a restarted machine loses the old boot’s leases at once', limits, within(async (w) => {
        const broker = await w.broker();
        const agent = await w.agent(broker).start();
        const id = await broker.simulate({ duration_ms: 600_000 });
        await broker.state(id, 'in_progress');
        await agent.kill();
        const start = Date.now();
        agent.launch();
        const job = await broker.jobUntil(id, (j) => j.attempts.length === 2 && j.status === 'in_progress', 'the second attempt');
        assert.ok(Date.now() - start < 4500, `after ${Date.now() - start} ms`);
        assert.equal(job.machine_id, agent.id);
        assert.deepEqual(job.attempts.map((a) => [a.outcome, a.counted])[0], ['lost', false]);
        assert.match(job.attempts[0].error, /restart/);
        assert.equal((await broker.machines()).length, 1, 'the same machine');
    }));

    it('the connection breaks in the middle of many jobs: each completes once', limits, within(async (w) => {
        const broker = await w.broker();
        const line = await wire(w, broker);
        const agent = await w.agent(line.through, { slots: 4 }).start();
        const ids = [];
        for (let n = 0; n < 60; n++) ids.push(await broker.simulate({ duration_ms: 60, n }));
        let over = false;
        const cutting = (async () => {
            while (!over) {
                await tick(120);
                line.cut();
            }
        })();
        try {
            for (const id of ids) {
                const job = await broker.state(id, 'completed');
                assert.equal(job.attempts.filter((a) => a.outcome === 'completed').length, 1);
                assert.equal(job.attempts.at(-1).outcome, 'completed');
            }
        } finally {
            over = true;
            await cutting;
        }
        assert.ok(agent.process.alive);
    }));

    it('an agent that starts before its broker waits for it', limits, within(async (w) => {
        const broker = await w.broker();
        await broker.kill();
        const agent = w.agent(broker).launch();
        await tick(1000);
        assert.ok(agent.process.alive);
        await broker.start();
        await broker.state(await broker.simulate(), 'completed');
    }));
});

describe('identity and fencing, by hand', { concurrency: 5 }, () => {
    it('two processes with one data directory: the second refuses', limits, within(async (w) => {
        const broker = await w.broker();
        const agent = await w.agent(broker).start();
        const twin = await w.run(['agent', '--broker', broker.ws, '--data', agent.data, '--connector', 'simulation']);
        assert.notEqual(twin.status, 0);
        assert.match(twin.stderr, /in use|another|running/i);
        assert.equal((await agent.machine()).status, 'connected');
    }));

    it('a newer connection of the same machine replaces the older', limits, within(async (w) => {
        const broker = await w.broker();
        const one = await new Socket(broker.port, '/ws/agent').opened;
        one.send(hello('twin', 'b1'));
        await one.message('welcome');
        const two = await new Socket(broker.port, '/ws/agent').opened;
        two.send(hello('twin', 'b1'));
        await two.message('welcome');
        await one.ended();
        assert.equal((await broker.machines()).length, 1);
        two.destroy();
    }));

    it('the lease goes on after a reconnection that names it; one not named is taken back', limits, within(async (w) => {
        const broker = await w.broker();
        const open = async (held) => {
            const s = await new Socket(broker.port, '/ws/agent').opened;
            s.send(hello('m', 'b1', { machine: { slots: 2 }, top: { held } }));
            await s.message('welcome');
            return s;
        };
        const beat = (s) => s.send({ type: 'beat', disk_free_bytes: 1e9 });
        let s = await open([]);
        const [a, b] = [await broker.simulate(), await broker.simulate()];
        await until(() => s.messages.filter((m) => m.type === 'assign').length === 2, 'both assignments');
        const assigns = s.messages.filter((m) => m.type === 'assign');
        assert.deepEqual(assigns.map((m) => [m.job_id, m.attempt, m.service]), [[a, 1, 'simulation'], [b, 1, 'simulation']]);
        assert.deepEqual(assigns[0].payload, { duration_ms: 20 });
        s.destroy();
        s = await open([{ job: assigns[0].job, attempt: 1, started: true, started_at: Date.now() }]);
        beat(s);
        assert.equal((await broker.state(a, 'in_progress')).attempts.length, 1);
        const second = await until(() => s.messages.find((m) => m.type === 'assign'), 'the one not named to be assigned anew');
        assert.deepEqual([second.job_id, second.attempt], [b, 2]);
        assert.deepEqual((await broker.job(b)).attempts.map((x) => [x.outcome, x.counted])[0], ['returned', false]);

        const report = (job, attempt, result) => s.send({ type: 'completed', job, attempt, ended_at: Date.now(), result });
        report(assigns[1].job, 1, 'old'); // an older attempt
        await until(() => s.messages.some((m) => m.type === 'ack' && m.attempt === 1 && m.job === assigns[1].job), 'the old report to be acknowledged');
        assert.equal((await broker.job(b)).status, 'assigned');
        report(second.job, 2, 'new');
        assert.equal((await broker.state(b, 'completed')).result, 'new');
        report(second.job, 2, 'again');
        s.send({ type: 'failed', job: second.job, attempt: 2, ended_at: Date.now(), code: 'job_failed', error: 'late' });
        await until(() => s.messages.filter((m) => m.type === 'ack' && m.job === second.job && m.attempt === 2).length === 3, 'all to be acknowledged');
        const job = await broker.job(b);
        assert.deepEqual([job.status, job.result], ['completed', 'new'], 'a terminal state is reached once');
        report(assigns[0].job, 1, null);
        await broker.state(a, 'completed');
        s.destroy();
    }));

    it('an assignment that was acknowledged by nobody is not lost with the connection', limits, within(async (w) => {
        const broker = await w.broker({ config: { lease: { closed: '500ms' } } });
        const s = await new Socket(broker.port, '/ws/agent').opened;
        s.send(hello('mute', 'b1'));
        await s.message('welcome');
        const id = await broker.simulate();
        await s.message('assign');
        s.destroy();
        await w.agent(broker).start();
        const job = await broker.state(id, 'completed');
        assert.deepEqual(job.attempts.map((a) => [a.outcome, a.counted]), [['lost', false], ['completed', true]]);
    }));

    it('a pool that nobody has configured: placed by hardware, and all are told', limits, within(async (w) => {
        const broker = await w.broker();
        const agent = await w.agent(broker, { pool: 'gold' }).start();
        const [machine] = await broker.machines();
        assert.equal(machine.pool_unknown, 'gold');
        assert.ok(['fast-lane', 'standard', 'heavy'].includes(machine.pool), machine.pool);
        await agent.process.line(new RegExp(`warn .*no pool "gold": .*"${machine.pool}"`));
        await broker.process.line(new RegExp(`warn .*machine ${agent.id} .*pool "gold"`));
        await broker.state(await broker.simulate(), 'completed');
        const listed = w.start('machines', ['machines', '--broker', broker.url]);
        await listed.ended;
        assert.match(listed.output, new RegExp(`${machine.pool} \\(no pool gold\\)`));
        const known = await w.agent(broker, { pool: 'heavy' }).start();
        assert.ok(!('pool_unknown' in (await broker.machines()).find((m) => m.machine_id === known.id)));
        assert.doesNotMatch(known.process.output, /no pool/);
    }));

    it('cancel reaches the agent, and a machine that drains gets nothing', limits, within(async (w) => {
        const broker = await w.broker();
        const s = await new Socket(broker.port, '/ws/agent').opened;
        s.send(hello('m', 'b1'));
        await s.message('welcome');
        const id = await broker.simulate();
        const assign = await s.message('assign');
        await broker.delete(`/api/jobs/${id}`);
        const cancel = await s.message('cancel');
        assert.deepEqual([cancel.job, cancel.attempt], [assign.job, assign.attempt]);
        s.send({ type: 'goodbye', draining: true });
        await until(async () => (await broker.machines())[0].status === 'draining', 'it to drain');
        const later = await broker.simulate();
        await tick(300);
        assert.equal((await broker.job(later)).status, 'pending');
        s.destroy();
    }));

    it('outputs are accepted for the current attempt alone, and seen when it has completed', limits, within(async (w) => {
        const broker = await w.broker();
        const s = await new Socket(broker.port, '/ws/agent').opened;
        s.send(hello('m', 'b1'));
        await s.message('welcome');
        const id = await broker.simulate();
        const assign = await s.message('assign');
        const put = (attempt, name, body) => broker.request('PUT', `/api/artifacts/${id}/${attempt}/${name}`, body, { 'content-type': 'application/octet-stream' });
        assert.equal((await put(1, 'a/b.txt', 'first')).status, 201);
        assert.equal((await put(1, 'a/b.txt', 'second')).status, 201, 'sent again: replaced');
        assert.equal((await put(2, 'x', 'no')).status, 409);
        assert.equal((await broker.get(`/api/artifacts/${id}/a/b.txt`)).status, 404, 'not yet');
        s.send({ type: 'completed', job: assign.job, attempt: 1, ended_at: Date.now(), result: null, outputs: [{ name: 'a/b.txt', bytes: 6, type: 'text/plain' }] });
        await broker.state(id, 'completed');
        const file = await broker.get(`/api/artifacts/${id}/a/b.txt`);
        assert.deepEqual([file.status, file.text, file.headers['content-type']], [200, 'second', 'text/plain']);
        assert.equal((await put(1, 'a/b.txt', 'late')).status, 409, 'too late');
        assert.equal((await broker.get(`/api/artifacts/${id}/a/b.txt`)).text, 'second');
        s.destroy();
    }));
});
