/* GET /api/jobs/:id/events: the present state first, then every change, in order, each once, and the end. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { limits, sse, until, within } from './lib.mjs';

async function collect(broker, id, onEvent = () => {}) {
    const all = [];
    for await (const e of sse(broker, `/api/jobs/${id}/events`)) {
        if (!e.data) continue;
        assert.equal(e.data.job_id, id);
        all.push(e);
        await onEvent(e, all);
    }
    return all;
}

/* A state is never told twice nor backwards; the end is the last and the only one. */
function assertOrder(all) {
    const order = { job_submitted: 0, job_assigned: 1, job_started: 2, update_job_progress: 2, job_requeued: 3, complete_job: 4, job_failed: 4, job_cancelled: 4 };
    const rank = (e) => (e.data.attempt ?? 0) * 10 + order[e.data.type];
    const states = all.filter((e) => e.event !== 'progress');
    states.forEach((e, i) => i > 0 && assert.ok(rank(e) > rank(states[i - 1]), `${e.data.type} after ${states[i - 1].data.type}`));
    assert.deepEqual(all.filter((e) => e.event === 'end').length, 1);
    assert.equal(all.at(-1).event, 'end');
}

describe('event streams', { concurrency: 4 }, () => {
    it('tell the whole life of a job', limits, within(async (w) => {
        const broker = await w.broker();
        const id = await broker.simulate({ duration_ms: 1500, steps: 5, result: { text: 'two\nlines', list: [1, 2] } });
        const agent = w.agent(broker);
        const all = await collect(broker, id, async (e, seen) => {
            if (seen.length === 1) await agent.start();
        });
        assertOrder(all);
        assert.deepEqual(all.filter((e) => e.event !== 'progress').map((e) => e.data.type), ['job_submitted', 'job_assigned', 'job_started', 'complete_job']);
        const progress = all.filter((e) => e.event === 'progress').map((e) => e.data.progress);
        assert.ok(progress.length >= 3, `progress: ${progress}`);
        assert.deepEqual(progress, [...progress].sort((a, b) => a - b));
        const end = all.at(-1).data;
        assert.deepEqual([end.status, end.machine_id, end.attempt], ['completed', agent.id, 1]);
        assert.deepEqual(end.result, { text: 'two\nlines', list: [1, 2] });
    }));

    it('of a job that has ended: its end alone', limits, within(async (w) => {
        const broker = await w.broker();
        await w.agent(broker).start();
        const good = await broker.simulate({ result: 7 });
        const bad = await broker.simulate({ fail: 'permanent' });
        await Promise.all([broker.done(good), broker.done(bad)]);
        const [a] = await collect(broker, good);
        assert.deepEqual([a.event, a.data.type, a.data.status, a.data.result], ['end', 'complete_job', 'completed', 7]);
        const [b, ...none] = await collect(broker, bad);
        assert.deepEqual([b.data.type, b.data.status, b.data.code, none.length], ['job_failed', 'failed', 'job_rejected', 0]);
        assert.ok(b.data.error);
    }));

    it('many readers of one job see the same; a reader that leaves disturbs nobody', limits, within(async (w) => {
        const broker = await w.broker();
        await w.agent(broker).start();
        const id = await broker.simulate({ duration_ms: 1500, steps: 10 });
        const leaver = new AbortController();
        const gone = (async () => {
            for await (const e of sse(broker, `/api/jobs/${id}/events`, { signal: leaver.signal })) if (e.data) leaver.abort();
        })().catch(() => 'aborted');
        const all = await Promise.all(Array.from({ length: 20 }, () => collect(broker, id)));
        all.forEach(assertOrder);
        assert.equal(await gone, 'aborted');
    }));

    it('a retry and a cancel are told', limits, within(async (w) => {
        const broker = await w.broker({ config: { retry: { base: '50ms', max: '100ms' } } });
        const id = await broker.simulate({ duration_ms: 60_000, fail_attempts: 0 });
        const agent = await w.agent(broker).start();
        await broker.state(id, 'in_progress');
        const other = w.agent(broker);
        const all = await collect(broker, id, async (e) => {
            if (e.data.status === 'in_progress' && e.data.attempt === 1 && agent.process.alive && e.event === 'state') {
                await other.start();
                agent.stop();
            }
            if (e.data.status === 'in_progress' && e.data.attempt === 2 && e.event === 'state') await broker.delete(`/api/jobs/${id}`);
        });
        assertOrder(all);
        const types = all.filter((e) => e.event !== 'progress').map((e) => e.data.type);
        assert.deepEqual(types, ['job_started', 'job_requeued', 'job_assigned', 'job_started', 'job_cancelled']);
    }));

    it('end when the broker ends, and begin again with the present state after its start', limits, within(async (w) => {
        const broker = await w.broker();
        await w.agent(broker).start();
        const id = await broker.simulate({ duration_ms: 4000 });
        await broker.state(id, 'in_progress');
        const first = collect(broker, id).catch((e) => e);
        await until(async () => (await broker.get('/metrics')).text.match(/streams[^\n]* 1\n/), 'the stream to be counted');
        await broker.stop();
        await first;
        await broker.start();
        const all = await collect(broker, id);
        assertOrder(all);
        assert.equal(all[0].data.status, 'in_progress');
        assert.equal(all.at(-1).data.attempt, 1);
    }));

    it('more streams than configured: 503', limits, within(async (w) => {
        const broker = await w.broker({ config: { http: { event_streams_max: 2 } } });
        const id = await broker.simulate();
        const stop = new AbortController();
        const open = [1, 2].map(() => sse(broker, `/api/jobs/${id}/events`, { signal: stop.signal }));
        for (const s of open) assert.equal((await s.next()).value.data.status, 'pending');
        const third = await broker.get(`/api/jobs/${id}/events`);
        assert.deepEqual([third.status, third.body.code], [503, 'unavailable']);
        stop.abort();
        await Promise.all(open.map((s) => s.return().catch(() => {})));
    }));
});
