/* The life of jobs on real agents: stopping, retrying, blaming, draining, handing back; order, pools, and what is said about it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { limits, processLives, until, within } from './lib.mjs';

const quick = { retry: { base: '50ms', max: '200ms' } };

/* A command service that leaves its pid, and a child's, in `dir`, one line per run, and sleeps. */
const sleeper = (dir, more = {}) => ({
    agent: { services: { sleeper: { argv: ['/bin/sh', '-c', `sleep 1000 & echo "$$ $! $EMP_JOB_ID $EMP_ATTEMPT" >> ${dir}/runs; wait`], ...more } } },
});
const runsIn = (dir) => (existsSync(`${dir}/runs`) ? readFileSync(`${dir}/runs`, 'utf8').trim().split('\n').map((l) => l.split(' ')) : []);
const command = { connector: 'command', pool: 'fast-lane' };

describe('stopping a run', { concurrency: 4 }, () => {
    it('cancel stops it, with all its processes, and frees the slot', limits, within(async (w) => {
        const broker = await w.broker();
        const agent = await w.agent(broker, { ...command, connector: 'command,simulation', config: sleeper(w.dir) }).start();
        const id = await broker.submit({ service_required: 'sleeper' });
        await broker.state(id, 'in_progress');
        const [[shell, child]] = await until(() => runsIn(w.dir).length && runsIn(w.dir), 'the run to write its pids');
        assert.ok(processLives(shell) && processLives(child));
        const answer = await broker.post(`/api/jobs/${id}/cancel`);
        assert.equal(answer.status, 200);
        assert.equal((await broker.job(id)).status, 'cancelled', 'durable before it is answered');
        await until(() => !processLives(shell) && !processLives(child), 'both processes to be gone');
        const next = await broker.state(await broker.simulate(), 'completed');
        assert.equal(next.machine_id, agent.id);
        const job = await broker.job(id);
        assert.deepEqual(job.attempts.map((a) => [a.outcome, a.counted]), [['cancelled', false]]);
        assert.equal(runsIn(w.dir).length, 1, 'it was not run again');
    }));

    it('its own time limit stops it: timeout_s, requirements.timeout_minutes, the service’s own', limits, within(async (w) => {
        const broker = await w.broker({ config: quick });
        await w.agent(broker, { ...command, slots: 4, config: sleeper(w.dir) }).start();
        const one = await broker.submit({ service_required: 'sleeper', timeout_s: 2, max_retries: 1 });
        const two = await broker.submit({ service_required: 'sleeper', requirements: { timeout_minutes: 0.04 }, max_retries: 2 });
        for (const [id, attempts] of [[one, 1], [two, 2]]) {
            const job = await broker.state(id, 'failed');
            assert.equal(job.code, 'timeout');
            assert.match(job.error, /\b(2|2\.0|2\.4|2000|2400)\b/, 'the limit is named');
            assert.deepEqual(job.attempts.map((a) => [a.outcome, a.counted]), Array(attempts).fill(['timeout', true]));
        }
        await until(() => runsIn(w.dir).every(([a, b]) => !processLives(a) && !processLives(b)), 'all processes to be gone');
        assert.equal(runsIn(w.dir).length, 3, 'as many runs as attempts; in two seconds each has written its pids');
        assert.equal((await broker.job(two)).timeout_s ?? 2.4, 2.4);
    }));

    it('cancelling a waiting job, and one that backs off', limits, within(async (w) => {
        const broker = await w.broker({ config: { retry: { base: '1h', max: '1h' } } });
        const waiting = await broker.simulate({}, { region: 'nowhere', wait: true });
        await w.agent(broker).start();
        const backing = await broker.simulate({ fail: true });
        const job = await broker.jobUntil(backing, (j) => j.status === 'pending' && j.retry_count === 1, 'backing off');
        assert.ok(Date.parse(job.retry_at) > Date.now() + 600_000);
        for (const id of [waiting, backing]) {
            assert.equal((await broker.delete(`/api/jobs/${id}`)).status, 200);
            assert.equal((await broker.job(id)).status, 'cancelled');
        }
        assert.equal(await broker.metric('emp_jobs_pending') ?? 0, 0);
    }));
});

describe('failures', { concurrency: 4 }, () => {
    it('a retry prefers another machine, and backs off', limits, within(async (w) => {
        const broker = await w.broker({ config: quick });
        await Promise.all([w.agent(broker, { slots: 4 }).launch(), w.agent(broker, { slots: 4 }).launch()]);
        await until(async () => (await broker.machines()).length === 2, 'two machines');
        const ids = await Promise.all(Array.from({ length: 6 }, () => broker.simulate({ fail_attempts: 1 })));
        for (const id of ids) {
            const job = await broker.state(id, 'completed');
            assert.deepEqual(job.attempts.map((a) => [a.outcome, a.counted]), [['failed', true], ['completed', true]]);
            assert.notEqual(job.attempts[0].machine_id, job.attempts[1].machine_id);
            assert.equal(job.retry_count, 1);
            assert.equal(job.last_failed_worker, job.attempts[0].machine_id);
            const pause = Date.parse(job.attempts[1].assigned_at) - Date.parse(job.attempts[0].ended_at);
            assert.ok(pause >= 30, `it backed off ${pause} ms`);
        }
    }));

    it('poison: a job that fails everywhere ends, and no machine is blamed for it', limits, within(async (w) => {
        const broker = await w.broker({ config: quick });
        for (let n = 0; n < 3; n++) w.agent(broker, { slots: 2 }).launch();
        await until(async () => (await broker.machines()).length === 3, 'three machines');
        const poison = await Promise.all(Array.from({ length: 6 }, () => broker.simulate({ fail: true })));
        const good = await Promise.all(Array.from({ length: 12 }, () => broker.simulate({ duration_ms: 50 })));
        for (const id of poison) {
            const job = await broker.state(id, 'failed');
            assert.equal(job.attempts.length, 3);
            assert.equal(new Set(job.attempts.map((a) => a.machine_id)).size, 3, 'each attempt on another machine');
            assert.ok(job.error && job.failed_at);
        }
        for (const id of good) await broker.state(id, 'completed');
        assert.deepEqual((await broker.machines()).map((m) => m.status), ['connected', 'connected', 'connected']);
    }));

    it('a job that its service rejects is not tried again', limits, within(async (w) => {
        const broker = await w.broker({ config: quick });
        await w.agent(broker).start();
        const job = await broker.state(await broker.simulate({ fail: 'permanent' }), 'failed');
        assert.deepEqual([job.code, job.attempts.length, job.attempts[0].outcome], ['job_rejected', 1, 'rejected']);
        const bad = await broker.state(await broker.simulate({ duration_ms: 'soon' }), 'failed');
        assert.match(bad.error, /duration_ms.*soon/);
    }));

    it('a job is retried by hand under the shortest retention, too', limits, within(async (w) => {
        const broker = await w.broker({ config: { ...quick, retention: { jobs: '1m' } } });
        await w.agent(broker).start();
        const id = await broker.simulate({ fail: true }, { max_retries: 1 });
        await broker.state(id, 'failed');
        assert.equal((await broker.post(`/api/jobs/${id}/retry`)).status, 200);
        await broker.jobUntil(id, (j) => j.attempts.length === 2 && j.status === 'failed', 'run again');
    }));

    it('max_retries counts executions; 0 and 1 mean one', limits, within(async (w) => {
        const broker = await w.broker({ config: quick });
        await w.agent(broker, { slots: 4 }).start();
        for (const [max_retries, executions] of [[0, 1], [1, 1], [2, 2], [5, 5]]) {
            const job = await broker.state(await broker.simulate({ fail: true }, { max_retries }), 'failed');
            assert.equal(job.attempts.length, executions, `max_retries ${max_retries}`);
        }
    }));

    it('a machine that fails what others can do is quarantined; all jobs complete', limits, within(async (w) => {
        const broker = await w.broker({ config: { ...quick, quarantine: { failures: 3, duration: '3s' } } });
        const service = (argv) => ({ agent: { services: { work: { argv } } } });
        const bad = await w.agent(broker, { ...command, config: service(['/bin/false']) }).start();
        const good = await w.agent(broker, { ...command, slots: 2, config: service(['/bin/sleep', '0.3']) }).start();
        // More than the good one does soon: a machine known to fail is asked last.
        const ids = await Promise.all(Array.from({ length: 40 }, () => broker.submit({ service_required: 'work', estimated_duration_s: 5, max_retries: 10 })));
        await until(async () => (await bad.machine()).status === 'quarantined', 'the bad machine to be quarantined');
        const m = await bad.machine();
        assert.ok(Date.parse(m.quarantined_until) > Date.now() - 1000);
        assert.equal((await good.machine()).status, 'connected');
        for (const id of ids) await broker.state(id, 'completed');
        const next = await broker.state(await broker.submit({ service_required: 'work' }), 'completed');
        assert.deepEqual(next.attempts.map((a) => a.machine_id), [good.id], 'nothing more goes there');
        await until(async () => (await bad.machine()).status === 'connected', 'the quarantine to end');
    }));

    it('a program that is missing is the machine’s fault: handed back, not counted', limits, within(async (w) => {
        const broker = await w.broker();
        const service = (program) => ({ agent: { services: { work: { argv: [program] } } } });
        const bad = await w.agent(broker, { ...command, config: service('/no/such/program') }).start();
        const id = await broker.submit({ service_required: 'work' });
        await broker.jobUntil(id, (j) => j.attempts.some((a) => a.ended_at), 'tried once');
        await w.agent(broker, { ...command, config: service('/bin/true') }).start();
        const job = await broker.state(id, 'completed');
        assert.equal(job.attempts[0].machine_id, bad.id);
        assert.match(job.attempts[0].error, /\/no\/such\/program/);
    }));
});

describe('leaving', { concurrency: 4 }, () => {
    it('SIGTERM hands unfinished work back: not counted, and at once elsewhere', limits, within(async (w) => {
        const broker = await w.broker();
        const leaver = await w.agent(broker, { slots: 2, connector: 'simulation,command', config: sleeper(w.dir) }).start();
        const ids = [await broker.simulate({ duration_ms: 600_000 }), await broker.submit({ service_required: 'sleeper' })];
        for (const id of ids) await broker.state(id, 'in_progress');
        const [[shell]] = await until(() => runsIn(w.dir).length && runsIn(w.dir), 'the run');
        const other = await w.agent(broker, { slots: 2, connector: 'simulation,command', config: sleeper(w.dir) }).start();
        const start = Date.now();
        assert.equal(await leaver.stop(), 0, 'a clean end');
        assert.ok(!processLives(shell), 'its run is stopped');
        for (const id of ids) {
            const job = await broker.jobUntil(id, (j) => j.status === 'in_progress' && j.machine_id === other.id, 'running elsewhere');
            assert.deepEqual(job.attempts.map((a) => [a.attempt, a.outcome]), [[1, 'returned'], [2, 'running']], JSON.stringify(job.attempts));
            assert.equal(job.attempts[0].counted, false);
            assert.equal(job.retry_count, 0);
        }
        assert.ok(Date.now() - start < 10_000, 'without waiting for a lease to end');
        assert.equal((await leaver.machine()).status, 'away');
    }));

    it('with --drain it finishes first, takes nothing new, then ends', limits, within(async (w) => {
        const broker = await w.broker();
        const agent = await w.agent(broker, { slots: 2, args: ['--drain'] }).start();
        const id = await broker.simulate({ duration_ms: 2500 });
        await broker.state(id, 'in_progress');
        const ended = agent.stop();
        await until(async () => (await agent.machine()).status === 'draining', 'the machine to drain');
        const later = await broker.simulate();
        assert.equal(await ended, 0);
        const job = await broker.job(id);
        assert.deepEqual([job.status, job.attempts.length], ['completed', 1]);
        assert.equal((await broker.job(later)).status, 'pending');
        await agent.start();
        await broker.state(later, 'completed');
    }));

    it('with --drain-timeout it hands back what takes longer', limits, within(async (w) => {
        const broker = await w.broker();
        const agent = await w.agent(broker, { args: ['--drain', '--drain-timeout', '1s'] }).start();
        const id = await broker.simulate({ duration_ms: 600_000 });
        await broker.state(id, 'in_progress');
        assert.equal(await agent.stop(), 0);
        const job = await broker.job(id);
        assert.deepEqual([job.status, job.attempts[0].outcome], ['pending', 'returned']);
    }));

    it('drained by the operator: what runs finishes, nothing new comes, also after a restart; and back', limits, within(async (w) => {
        const broker = await w.broker();
        const agent = await w.agent(broker, { slots: 2 }).start();
        const id = await broker.simulate({ duration_ms: 1500 });
        await broker.state(id, 'in_progress');
        const answer = await broker.post(`/api/machines/${agent.id}/drain`);
        assert.equal(answer.status, 200);
        assert.deepEqual([(await agent.machine()).drained, (await agent.machine()).status], [true, 'draining']);
        const later = await broker.simulate();
        assert.equal((await broker.state(id, 'completed')).attempts.length, 1);
        assert.equal((await broker.job(later)).status, 'pending');
        await broker.kill();
        await broker.start();
        await until(async () => (await agent.machine()).status === 'draining', 'the machine to be back');
        assert.equal((await agent.machine()).drained, true, 'remembered');
        assert.equal((await broker.job(later)).status, 'pending');
        const back = await broker.post(`/api/machines/${agent.id}/drain`, { drain: false });
        assert.equal(back.status, 200);
        await broker.state(later, 'completed');
        assert.deepEqual([(await agent.machine()).drained, (await agent.machine()).status], [false, 'connected']);
        assert.ok(agent.process.alive, 'it never left');
    }));

    it('drained by the operator, and to leave: the agent ends when it has finished', limits, within(async (w) => {
        const broker = await w.broker();
        const agent = await w.agent(broker).start();
        const id = await broker.simulate({ duration_ms: 1500 });
        await broker.state(id, 'in_progress');
        assert.equal((await broker.post(`/api/machines/${agent.id}/drain`, { leave: true })).status, 200);
        assert.equal(await agent.process.ended, 0);
        const job = await broker.job(id);
        assert.deepEqual([job.status, job.attempts.length], ['completed', 1]);
        agent.launch();
        await until(async () => (await agent.machine()).status === 'draining', 'it to be drained still');
        assert.equal((await broker.post(`/api/machines/${agent.id}/drain`, { drain: false, leave: true })).status, 400);
    }));

    it('forgetting a machine gives its work to others at once', limits, within(async (w) => {
        const broker = await w.broker();
        const lost = await w.agent(broker).start();
        const id = await broker.simulate({ duration_ms: 600_000 });
        await broker.state(id, 'in_progress');
        const other = await w.agent(broker).start();
        lost.process.kill('SIGSTOP');
        assert.equal((await broker.delete(`/api/machines/${lost.id}`)).status, 200);
        const job = await broker.jobUntil(id, (j) => j.machine_id === other.id, 'with the other');
        assert.deepEqual(job.attempts.map((a) => a.outcome), ['lost', 'running']);
        assert.deepEqual((await broker.machines()).map((m) => m.machine_id), [other.id]);
    }));
});

describe('order', { concurrency: 4 }, () => {
    const started = async (broker, ids) => {
        const jobs = [];
        for (const id of ids) jobs.push(await broker.state(id, 'completed'));
        return jobs.sort((a, b) => Date.parse(a.assigned_at) - Date.parse(b.assigned_at));
    };

    it('higher priority first, then first come first served', limits, within(async (w) => {
        const broker = await w.broker();
        const ids = [];
        for (const priority of [10, 50, 90, 50, 10, 90]) ids.push(await broker.simulate({ duration_ms: 30, n: ids.length }, { priority }));
        await w.agent(broker).start();
        assert.deepEqual((await started(broker, ids)).map((j) => j.payload.n), [2, 5, 1, 3, 0, 4]);
    }));

    it('workflow_priority orders instead of priority; a later step keeps its workflow’s place', limits, within(async (w) => {
        const broker = await w.broker();
        const ids = [], workflow_datetime = Date.now() - 120_000; // more than what fairness between customers weighs
        const add = async (name, more) => ids.push(await broker.simulate({ duration_ms: 30, name }, more));
        const first = await broker.simulate({ duration_ms: 1 }, { workflow_id: 'w', current_step: 1, total_steps: 2, workflow_datetime });
        for (const n of [1, 2, 3]) await add(`other ${n}`, { customer_id: 'x' });
        await add('low', { workflow_priority: 1, priority: 99 });
        await add('high', { workflow_priority: 80, priority: 0 });
        await add('step 2', { workflow_id: 'w', current_step: 2, total_steps: 2, workflow_datetime });
        await w.agent(broker).start();
        await broker.state(first, 'completed');
        assert.deepEqual((await started(broker, ids)).map((j) => j.payload.name), ['high', 'step 2', 'other 1', 'other 2', 'other 3', 'low']);
    }));

    it('customers share: one with many jobs does not hold up one with few; a higher tier gets more', limits, within(async (w) => {
        const broker = await w.broker();
        const batch = async (customer_id, user_tier, count) =>
            (await broker.post('/api/jobs/batch', { jobs: Array.from({ length: count }, () => ({ service_required: 'simulation', payload: { duration_ms: 20 }, customer_id, user_tier })) })).body.jobs.map((j) => j.job_id);
        const big = await batch('big', 'free', 40);
        const small = await batch('small', 'free', 5);
        const paying = await batch('paying', 'enterprise', 20);
        await w.agent(broker).start();
        const order = (await started(broker, [...big, ...small, ...paying])).map((j) => j.customer_id);
        const last = (c) => order.lastIndexOf(c);
        assert.ok(last('small') < 50, `small ended at ${last('small')} of 65: ${order.join(' ')}`);
        const early = order.slice(0, 20);
        const count = (c) => early.filter((x) => x === c).length;
        assert.ok(count('paying') > count('big'), `of the first 20: ${early.join(' ')}`);
        assert.ok(count('big') > 0 && count('small') > 0, `nobody starves: ${early.join(' ')}`);
    }));

    it('a retry keeps its place', limits, within(async (w) => {
        const broker = await w.broker({ config: { retry: { base: '1ms', max: '1ms' } } });
        const first = await broker.simulate({ duration_ms: 20, fail_attempts: 1, n: 'first' });
        const rest = [];
        for (let n = 0; n < 6; n++) rest.push(await broker.simulate({ duration_ms: 60, n }));
        await w.agent(broker).start();
        const order = (await started(broker, [first, ...rest])).map((j) => j.payload.n);
        assert.ok(order.indexOf('first') <= 2, `order: ${order}`);
    }));
});

describe('pools and decisions', { concurrency: 4 }, () => {
    const fleet = async (w, broker, ...pools) => {
        const agents = {};
        for (const pool of pools) agents[pool] = await w.agent(broker, { pool, slots: 2 }).start();
        return agents;
    };

    it('a job goes where its estimated length belongs', limits, within(async (w) => {
        const broker = await w.broker();
        await fleet(w, broker, 'fast-lane', 'standard', 'heavy');
        for (const [seconds, pool] of [[5, 'fast-lane'], [60, 'standard'], [600, 'heavy']]) {
            const id = await broker.simulate({ duration_ms: 10 }, { estimated_duration_s: seconds });
            const job = await broker.state(id, 'completed');
            assert.equal(job.pool, pool, `${seconds} s`);
            const d = (await broker.get(`/api/jobs/${id}/decision`)).body;
            assert.deepEqual([d.pool, d.fallback, d.chosen, d.estimatedDuration], [pool, 'none', job.machine_id, seconds]);
        }
        const named = await broker.state(await broker.simulate({ duration_ms: 10 }, { estimated_duration_s: 5, pool: 'heavy' }), 'completed');
        assert.equal(named.pool, 'heavy');
    }));

    it('run times are learned: a class that turns out short moves to the fast lane', limits, within(async (w) => {
        const broker = await w.broker();
        await fleet(w, broker, 'fast-lane', 'standard');
        const pools = [];
        await until(async () => {
            const id = await broker.simulate({ duration_ms: 10 }, { estimated_duration_s: 60 });
            pools.push((await broker.state(id, 'completed')).pool);
            return pools.at(-1) === 'fast-lane';
        }, 'the estimate to be learned');
        assert.equal(pools[0], 'standard');
    }));

    it('fallback: another pool, with its penalty in the terms', limits, within(async (w) => {
        const broker = await w.broker({ config: { pools: { standard: { penalty: '7s' } } } });
        const { standard } = await fleet(w, broker, 'standard');
        const id = await broker.simulate({ duration_ms: 10 }, { estimated_duration_s: 5 });
        const job = await broker.state(id, 'completed');
        assert.equal(job.machine_id, standard.id);
        const d = (await broker.get(`/api/jobs/${id}/decision`)).body;
        assert.deepEqual([d.pool, d.fallback], ['fast-lane', 'other_pool']);
        // a job of 5 s is in the way of jobs of 30 s and more for a sixth of their shortest
        assert.ok(Math.abs(d.candidates[0].terms.pool_penalty - (7 * 5) / 30) < 1e-3, JSON.stringify(d.candidates[0]));
        const c = d.candidates[0];
        const t = c.terms;
        assert.ok(Math.abs(c.cost - (Math.max(t.slot_free, t.fetch) + t.load + t.run_delta + t.pool_penalty + t.displacement + t.risk)) < 1e-3, JSON.stringify(c));
    }));

    it('a waiting job says what it waits for, a running one why it is there and who came second', limits, within(async (w) => {
        const broker = await w.broker({ config: { pools: { standard: { penalty: '1s' } } } });
        const alone = await broker.simulate({}, { estimated_duration_s: 5 });
        const nobody = (await broker.get(`/api/jobs/${alone}/decision`)).body;
        assert.deepEqual([nobody.status, nobody.chosen, nobody.candidates, nobody.waiting_for], ['pending', null, [], null]);
        assert.match(nobody.reason, /no machine/);
        await broker.delete(`/api/jobs/${alone}`);

        await fleet(w, broker, 'fast-lane', 'standard');
        const ids = [];
        for (let n = 0; n < 4; n++) ids.push(await broker.simulate({ duration_ms: 600_000 }, { estimated_duration_s: 28, priority: 80, customer_id: 'c', user_tier: 'premium' }));
        for (const id of ids) await broker.state(id, 'in_progress');
        const running = (await broker.get(`/api/jobs/${ids[0]}/decision`)).body;
        assert.equal(running.candidates.length, 2);
        assert.deepEqual([running.chosen, running.runner_up], running.candidates.map((c) => c.machine_id));
        assert.ok(running.candidates[0].cost <= running.candidates[1].cost);
        assert.deepEqual([running.userTier, running.priority, running.requiredModels], ['premium', 80, []]);

        const waiting = await broker.simulate({}, { estimated_duration_s: 5 });
        const d = (await broker.get(`/api/jobs/${waiting}/decision`)).body;
        assert.deepEqual([d.chosen, d.candidates.length], [null, 2]);
        assert.equal(d.waiting_for, d.candidates[0].machine_id);
        assert.ok(d.candidates[0].terms.slot_free > 0);
        assert.match(d.reason, /busy/);
        await broker.delete(`/api/jobs/${ids[0]}`);
        await broker.state(waiting, 'completed');
        const after = (await broker.get(`/api/jobs/${waiting}/decision`)).body;
        assert.equal(after.chosen, (await broker.job(waiting)).machine_id, 'kept after the end');
    }));

    it('regions, specialties, compliance and requirements are met, or the job waits or is refused', limits, within(async (w) => {
        const broker = await w.broker({ config: { pools: { photo: { parent: 'fast-lane', specialty: 'photography', run_max: '30s' } }, models: [{ name: 'camera', bytes: 10, category: 'photography' }] } });
        const plain = await w.agent(broker, { slots: 2, args: ['--region', 'us'] }).start();
        const special = await w.agent(broker, { slots: 2, pool: 'photo', args: ['--region', 'eu'], config: { agent: { specialties: ['photography'], compliance: ['hipaa'], custom_nodes: ['node-a'], capabilities: { quality: ['draft', 'fine'], gpu: { vram: 24 } } } } }).start();
        const lands = async (more, where, what) => assert.equal((await broker.state(await broker.simulate({ duration_ms: 10 }, more), 'completed')).machine_id, where.id, what);
        await lands({ region: 'eu' }, special, 'region');
        await lands({ requirements: { geographic_region: 'us' } }, plain, 'geographic_region');
        await lands({ compliance: ['hipaa'] }, special, 'compliance');
        await lands({ custom_nodes: ['node-a'] }, special, 'custom_nodes');
        await lands({ specialty: 'photography' }, special, 'specialty');
        await lands({ requirements: { quality: 'fine' } }, special, 'a text among several');
        await lands({ requirements: { gpu: { vram: 16 } } }, special, 'at least');
        await lands({ requirements: { negative_requirements: { quality: 'fine' }, positive_requirements: {} } }, plain, 'must not have');
        for (const more of [{ region: 'mars' }, { compliance: ['gdpr'] }, { requirements: { gpu: { vram: 48 } } }, { custom_nodes: ['node-b'] }]) {
            const refused = await broker.post('/api/jobs', { service_required: 'simulation', ...more });
            assert.deepEqual([refused.status, refused.body.code], [422, 'unrunnable'], JSON.stringify(more));
            assert.ok(refused.body.error.length > 20, refused.body.error);
            const taken = await broker.post('/api/jobs', { service_required: 'simulation', ...more, wait: true });
            assert.equal(taken.status, 201);
            assert.equal((await broker.job(taken.body.job_id)).status, 'pending');
        }
    }));

    it('a machine seen before counts although it is away, also after a restart', limits, within(async (w) => {
        const broker = await w.broker();
        const agent = await w.agent(broker, { args: ['--region', 'eu'] }).start();
        await agent.stop();
        await broker.kill();
        await broker.start();
        const id = await broker.submit({ service_required: 'simulation', region: 'eu' });
        assert.equal((await broker.job(id)).status, 'pending');
        assert.equal((await broker.post('/api/jobs', { service_required: 'simulation', region: 'us' })).status, 422);
        await agent.start();
        await broker.state(id, 'completed');
    }));

    it('customers kept apart by machine and pool', limits, within(async (w) => {
        const broker = await w.broker({ config: { pools: { acme: { customer: 'acme', parent: 'fast-lane', run_max: '30s' } } } });
        const own = await w.agent(broker, { pool: 'acme' }).start();
        const shared = await w.agent(broker).start();
        assert.equal((await broker.state(await broker.simulate({ duration_ms: 10 }, { customer_id: 'acme' }), 'completed')).machine_id, own.id);
        for (let n = 0; n < 3; n++) assert.equal((await broker.state(await broker.simulate({ duration_ms: 10 }, { customer_id: 'other' }), 'completed')).machine_id, shared.id);
    }));

    it('load is spread over idle machines', limits, within(async (w) => {
        const broker = await w.broker();
        for (const region of ['eu', 'us']) for (let n = 0; n < 2; n++) w.agent(broker, { slots: 2, args: ['--region', region] }).launch();
        await until(async () => (await broker.machines()).length === 4, 'four machines');
        const ids = [];
        for (let n = 0; n < 4; n++) ids.push(await broker.simulate({ duration_ms: 600_000 }));
        const jobs = await Promise.all(ids.map((id) => broker.state(id, 'in_progress')));
        assert.equal(new Set(jobs.map((j) => j.machine_id)).size, 4);
    }));
});

describe('the command connector', { concurrency: 4 }, () => {
    /* A broker, and an agent that offers `services`; jobs are run to their end. */
    const place = async (w, services) => {
        const broker = await w.broker({ config: quick });
        const agent = await w.agent(broker, { ...command, slots: 16, config: { agent: { services } } }).start();
        const run = async (service_required, payload = {}) => broker.done(await broker.submit({ service_required, payload, max_retries: 1 }));
        return { broker, agent, run };
    };
    const shell = (script, ...args) => ['/bin/sh', '-c', script.replaceAll('{', '{{').replaceAll('}', '}}'), 'sh', ...args];

    it('inputs as files, outputs as files, standard output as the result, progress on the way', limits, within(async (w) => {
        const argv = shell(
            'cat "$1" | tr a-z A-Z > "$2"; mkdir -p "$3/deep"; echo more > "$3/deep/er.txt"; echo "progress 50 half way"; sleep 0.5; echo "{\\"seen\\":\\"$4\\"}"',
            '{input.in.txt}', '{output.out.txt}', '{outputs}', '{payload.word}',
        );
        const { broker, agent } = await place(w, { tool: { argv } });
        const word = '$(reboot); `id`';
        const id = await broker.submit({ service_required: 'tool', payload: { word, inputs: { 'in.txt': { text: 'hello ' }, 'b.bin': { base64: 'AAEC' } } } });
        const under = await broker.jobUntil(id, (j) => j.progress === 50 || j.status === 'completed', 'half way');
        assert.deepEqual([under.progress, under.progress_message], [50, 'half way']);
        const job = await broker.state(id, 'completed', 'failed');
        assert.equal(job.status, 'completed', job.error);
        assert.deepEqual(job.result, { seen: word }, 'no shell of ours has seen it');
        assert.deepEqual(job.outputs.map((o) => o.name).sort(), ['deep/er.txt', 'out.txt']);
        const text = async (name) => (await broker.get(job.outputs.find((o) => o.name === name).url)).text;
        assert.equal(await text('out.txt'), 'HELLO ');
        assert.equal(await text('deep/er.txt'), 'more\n');
        await until(() => readdirSync(agent.data, { recursive: true }).every((f) => !String(f).endsWith('in.txt')), 'the scratch directory to be removed');
    }));

    it('inputs that would leave the directory are rejected', limits, within(async (w) => {
        const { run } = await place(w, { tool: { argv: ['/bin/true'] } });
        for (const name of ['../evil', '/etc/evil', 'a/../../b', '', 'a\\b', 'x'.repeat(300)]) {
            const job = await run('tool', { inputs: { [name]: 'x' } });
            assert.deepEqual([job.status, job.code], ['failed', 'job_rejected'], `${name}: ${job.error}`);
        }
        for (const input of [5, null, {}, { text: 5 }, { base64: '!' }, ['x']]) {
            const job = await run('tool', { inputs: { name: input } });
            assert.deepEqual([job.status, job.code], ['failed', 'job_rejected'], `${JSON.stringify(input)}: ${job.error}`);
        }
    }));

    it('values that look like options are refused where a word begins with them', limits, within(async (w) => {
        const { run } = await place(w, { word: { argv: ['/bin/echo', '{payload.x}'] }, any: { argv: ['/bin/echo', '{payload.x:any}'] }, inside: { argv: ['/bin/echo', 'x={payload.x}'] } });
        for (const x of ['-rf', '@/etc/passwd', '--help']) {
            assert.equal((await run('word', { x })).code, 'job_rejected', x);
            assert.equal((await run('inside', { x })).status, 'completed', x);
        }
        assert.deepEqual((await run('any', { x: '@file' })).result, { stdout: '@file\n' });
    }));

    it('limits on time, output and memory; exit status and stderr in the error', limits, within(async (w) => {
        const cases = {
            slow: [{ argv: shell('sleep 100'), timeout: '300ms' }, 'timeout', /0\.3/],
            large: [{ argv: shell('head -c 3000000 /dev/zero > out/big'), output_max: '1mb' }, 'limit_exceeded', /1000000/],
            many: [{ argv: shell('for i in 1 2 3 4 5; do head -c 500000 /dev/zero > out/$i; done'), output_max: '1mb' }, 'limit_exceeded', /1000000/],
            endless: [{ argv: shell('yes'), output_max: '1mb' }, 'limit_exceeded', /1000000/],
            hungry: [{ argv: shell('x=$(head -c 400000000 /dev/zero | tr "\\0" a); echo ${#x}'), memory_max: '100mb' }, undefined, /./],
            loud: [{ argv: shell('echo some detail >&2; exit 3') }, 'job_failed', /3.*some detail/s],
            data: [{ argv: shell('exit 65') }, 'job_rejected', /65/],
            killed: [{ argv: shell('kill -9 $$') }, 'job_failed', /was killed by.*KILL/],
            absent: [{ argv: ['/bin/true', '{output.never}'] }, undefined, /never/],
            missing: [{ argv: ['/bin/echo', '{payload.missing}'] }, 'job_rejected', /missing/],
        };
        const { run } = await place(w, Object.fromEntries(Object.entries(cases).map(([name, [service]]) => [name, service])));
        await Promise.all(Object.entries(cases).map(async ([name, [, code, text]]) => {
            const job = await run(name);
            assert.equal(job.status, 'failed', name);
            if (code) assert.equal(job.code, code, `${name}: ${job.error}`);
            assert.match(job.error, text, name);
            assert.ok(!job.outputs?.length, `${name} leaves no outputs`);
        }));
    }));
});
