/* The broker may stop at any time, and agents may lose it: running jobs are adopted, not repeated; what was acknowledged is there. */
import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { describe, it } from 'node:test';
import { limits, slow, tick, until, within } from './lib.mjs';

/* A command service that writes a line when it begins and one when it ends. */
const marked = (dir, seconds) => ({ agent: { services: { marked: { argv: ['/bin/sh', '-c', `echo "begin $EMP_JOB_ID $EMP_ATTEMPT" >> ${dir}/marks; sleep ${seconds}; echo "end $EMP_JOB_ID $EMP_ATTEMPT" >> ${dir}/marks`] } } } });
const marks = (dir) => (existsSync(`${dir}/marks`) ? readFileSync(`${dir}/marks`, 'utf8').trim().split('\n') : []);
const command = { connector: 'command' };

for (const [name, stop] of [['kill -9', (b) => b.kill()], ['SIGTERM', (b) => b.stop()]]) {
    describe(`the broker ends by ${name} and starts again`, { concurrency: 4 }, () => {
        it('running jobs are adopted: same attempt, run once', limits, within(async (w) => {
            const broker = await w.broker();
            await w.agent(broker, { ...command, slots: 3, config: marked(w.dir, 3) }).start();
            const ids = [];
            for (let n = 0; n < 3; n++) ids.push(await broker.submit({ service_required: 'marked' }));
            for (const id of ids) await broker.state(id, 'in_progress');
            await until(() => marks(w.dir).length === 3, 'all three to run');
            await stop(broker);
            await broker.start();
            for (const id of ids) {
                const job = await broker.state(id, 'completed');
                assert.deepEqual(job.attempts.map((a) => [a.attempt, a.outcome, a.counted]), [[1, 'completed', true]]);
            }
            for (const id of ids) assert.deepEqual(marks(w.dir).filter((m) => m.includes(id)), [`begin ${id} 1`, `end ${id} 1`], 'run once, not twice');
        }));

        it('what ended while it was away is reported afterwards', limits, within(async (w) => {
            const broker = await w.broker();
            const agent = await w.agent(broker, { slots: 3 }).start();
            const good = await broker.simulate({ duration_ms: 3000, result: 'kept' });
            const bad = await broker.simulate({ duration_ms: 3000, fail: 'permanent' });
            const file = await broker.simulate({ duration_ms: 3000, output_bytes: 5000 });
            for (const id of [good, bad, file]) await broker.state(id, 'in_progress');
            await stop(broker);
            await tick(4000);
            await broker.start();
            assert.equal((await broker.state(good, 'completed')).result, 'kept');
            assert.equal((await broker.state(bad, 'failed')).code, 'job_rejected');
            const job = await broker.state(file, 'completed');
            assert.equal((await broker.get(job.outputs[0].url)).bytes.length, 5000);
            for (const id of [good, bad, file]) assert.equal((await broker.job(id)).attempts.length, 1);
            assert.ok(agent.process.alive);
        }));

        it('agents come back within seconds, and waiting jobs keep their order', limits, within(async (w) => {
            const broker = await w.broker();
            const agent = await w.agent(broker).start();
            const blocker = await broker.simulate({ duration_ms: 600_000 });
            await broker.state(blocker, 'in_progress');
            const ids = [];
            for (const priority of [10, 90, 50]) ids.push(await broker.simulate({ duration_ms: 20 }, { priority }));
            const before = (await broker.get('/api/jobs?sort=created_at&order=asc')).body;
            await stop(broker);
            await broker.start();
            const start = Date.now();
            await until(async () => (await agent.machine()).status === 'connected', 'the agent to be back');
            assert.ok(Date.now() - start < 5000, `back after ${Date.now() - start} ms`);
            const after = (await broker.get('/api/jobs?sort=created_at&order=asc')).body;
            assert.deepEqual(after.jobs.map((j) => [j.id, j.payload, j.priority, j.created_at]), before.jobs.map((j) => [j.id, j.payload, j.priority, j.created_at]));
            await broker.delete(`/api/jobs/${blocker}`);
            const jobs = [];
            for (const id of ids) jobs.push(await broker.state(id, 'completed'));
            const order = jobs.sort((a, b) => Date.parse(a.assigned_at) - Date.parse(b.assigned_at)).map((j) => j.priority);
            assert.deepEqual(order, [90, 50, 10]);
        }));
    });
}

describe('more of it', { concurrency: 4 }, () => {
    it('a cancel that was acknowledged holds, although the agent hears of it only later', limits, within(async (w) => {
        const broker = await w.broker();
        const agent = await w.agent(broker, { ...command, config: marked(w.dir, 4) }).start();
        const id = await broker.submit({ service_required: 'marked' });
        await until(() => marks(w.dir).length === 1, 'it to run');
        agent.process.kill('SIGSTOP');
        await broker.delete(`/api/jobs/${id}`);
        await broker.kill();
        await broker.start();
        process.kill(agent.process.pid, 'SIGCONT');
        assert.equal((await broker.job(id)).status, 'cancelled');
        await until(async () => (await agent.machine()).status === 'connected' && (await agent.machine()).busy === 0, 'the agent to be back and free');
        await tick(300);
        assert.equal((await broker.job(id)).status, 'cancelled');
        assert.deepEqual((await broker.job(id)).attempts.map((a) => a.outcome), ['cancelled']);
    }));

    it('an agent that does not come back loses its jobs after the grace, not before', limits, within(async (w) => {
        const broker = await w.broker({ config: { lease: { start_grace: `${3 * slow}s` } } });
        const lost = await w.agent(broker).start();
        const id = await broker.simulate({ duration_ms: 100 }, { priority: 1 });
        await broker.state(id, 'completed');
        const long = await broker.simulate({ duration_ms: 600_000 });
        await broker.state(long, 'in_progress');
        await broker.kill();
        await lost.kill();
        await broker.start();
        const other = await w.agent(broker).start();
        await tick(500);
        assert.equal((await broker.job(long)).attempts.length, 1, 'still the old lease');
        const job = await broker.jobUntil(long, (j) => j.machine_id === other.id, 'with the other');
        assert.deepEqual(job.attempts.map((a) => [a.attempt, a.outcome]), [[1, 'lost'], [2, 'running']]);
    }));

    it('many restarts in a row lose nothing', limits, within(async (w) => {
        const broker = await w.broker();
        await w.agent(broker, { slots: 4 }).start();
        const ids = [];
        for (let round = 0; round < 6; round++) {
            for (let n = 0; n < 5; n++) ids.push(await broker.simulate({ duration_ms: 300, round, n }));
            await (round % 2 ? broker.kill() : broker.stop());
            await broker.start();
        }
        for (const id of ids) {
            const job = await broker.state(id, 'completed');
            assert.equal(job.attempts.filter((a) => a.outcome === 'completed').length, 1);
            assert.equal(job.attempts.filter((a) => a.counted).length, 1);
        }
        assert.equal((await broker.get('/api/jobs?limit=0')).body.total, 30);
    }));

    it('the broker ends cleanly on SIGTERM: status 0, requests in flight are answered or broken off, never half', limits, within(async (w) => {
        const broker = await w.broker();
        const acknowledged = [];
        let over = false;
        const lanes = Array.from({ length: 6 }, async () => {
            while (!over) {
                const r = await broker.post('/api/jobs', { service_required: 'simulation' }).catch(() => undefined);
                if (r?.status === 201) acknowledged.push(r.body.job_id);
                else if (r) assert.equal(r.status, 503, r.text);
                else break;
            }
        });
        await until(() => acknowledged.length > 50, 'a stream of jobs');
        assert.equal(await broker.stop(), 0);
        over = true;
        await Promise.all(lanes);
        await broker.start();
        const total = (await broker.get('/api/jobs?limit=0')).body.total;
        assert.ok(total >= acknowledged.length);
        for (const id of acknowledged) assert.equal((await broker.job(id)).status, 'pending');
    }));

    it('payloads reach the agents byte for byte, from the store as from memory', limits, within(async (w) => {
        const broker = await w.broker({ config: { cache: { payloads: '1mb' } } });
        const body = (n) => `{"service_required":"simulation","payload":{"duration_ms":1,"result":{"n":${n},"big":1234567890123456789012345.${n},"text":"${'é'.repeat(20_000)}"}}}`;
        const ids = [];
        for (let n = 0; n < 20; n++) ids.push((await broker.post('/api/jobs', body(n))).body.job_id);
        await broker.kill();
        await broker.start();
        for (let n = 20; n < 50; n++) ids.push((await broker.post('/api/jobs', body(n))).body.job_id);
        await w.agent(broker, { slots: 4 }).start();
        for (const [n, id] of ids.entries()) {
            await broker.state(id, 'completed');
            const { text } = await broker.get(`/api/jobs/${id}`);
            assert.equal(text.split(`{"n":${n},"big":1234567890123456789012345.${n},"text":"é`).length, 3, 'in the payload and in the result');
        }
    }));

    it('job ids and secrets outlive a restart; a damaged data directory is not taken silently', limits, within(async (w) => {
        const broker = await w.broker();
        const id = await broker.simulate();
        await broker.restart();
        assert.equal((await broker.job(id)).id, id);
        await broker.stop();
        const db = `${broker.data}/emp.db`;
        assert.ok(statSync(db).size > 0);
        const fd = openSync(db, 'r+');
        writeSync(fd, Buffer.alloc(4096, 0x5a), 0, 4096, 0);
        closeSync(fd);
        const p = await w.run(['serve', '--listen', '127.0.0.1:0', '--data', broker.data]);
        assert.notEqual(p.status, 0);
        assert.match(p.stderr, /emp\.db/);
    }));
});
