/* Models: fetched once however many jobs want them, resumed after a break, checked before they are visible, evicted when the budget asks for
 * it; and an origin that breaks off, stalls, lies about size or content, has nothing. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { limits, Origin, random, smallDisk, tick, until, within } from './lib.mjs';

const MB = 1_000_000;
const quick = { retry: { base: '50ms', max: '200ms' } };
const stall = { agent: { models: { stall: '500ms' } } };

/* An origin, a broker with its models in the catalogue, one agent. */
async function place(w, files, { broker: brokerOptions = {}, agent: agentOptions = {}, agents = 1 } = {}) {
    const origin = await w.origin();
    const models = files(origin);
    const broker = await w.broker({ config: { ...quick, models, ...brokerOptions.config } });
    const all = [];
    for (let n = 0; n < agents; n++) all.push(await w.agent(broker, { slots: 4, config: stall, ...agentOptions }).start());
    return { origin, broker, models, agent: all[0], agents: all };
}
const fileOf = (agent, name) => path.join(agent.data, 'models', name);
const hashOf = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');
const modelFiles = (agent) => readdirSync(path.join(agent.data, 'models'), { recursive: true, withFileTypes: false }).map(String);
const run = (broker, models, more) => broker.simulate({ duration_ms: 20 }, { models, ...more });

describe('fetching', { concurrency: 3 }, () => {
    it('a model is fetched, checked, kept; many jobs that want it cause one fetch', limits, within(async (w) => {
        const { origin, broker, agent, models } = await place(w, (o) => [o.add('dir/m', 3 * MB), o.add('plain', 5000)]);
        const ids = await Promise.all(Array.from({ length: 12 }, () => run(broker, ['dir/m'])));
        for (const id of ids) await broker.state(id, 'completed');
        assert.equal(origin.count('dir/m'), 1);
        assert.equal(hashOf(fileOf(agent, 'dir/m')), models[0].sha256);
        const fetched = [];
        for (const id of ids) fetched.push((await broker.job(id)).attempts[0].bytes_fetched ?? 0);
        assert.ok(fetched.some((b) => b === 3 * MB), `bytes_fetched: ${fetched}`);
        const m = await agent.machine();
        assert.deepEqual(m.models, [{ model: 'dir/m', bytes: 3 * MB, residency: 'disk', in_use: false }]);
        assert.ok(m.disk.free_bytes <= m.disk.budget_bytes - 3 * MB);
        assert.ok(m.link_bytes_per_s > 0, 'the rate is measured');
        const shown = (await broker.get('/api/models')).body.models.find((x) => x.name === 'dir/m');
        assert.deepEqual([shown.copies, shown.machines, shown.uses], [1, [agent.id], 12]);

        await agent.restart();
        const again = await broker.state(await run(broker, ['dir/m']), 'completed');
        assert.equal(again.attempts[0].bytes_fetched ?? 0, 0, 'found after a restart');
        assert.equal(origin.count('dir/m'), 1);
        const warm = (await broker.get(`/api/jobs/${again.id}/decision`)).body;
        assert.deepEqual([warm.fallback, warm.candidates[0].machineHasModels, warm.candidates[0].terms.fetch, warm.requiredModels], ['none', true, 0, ['dir/m']]);
    }));

    it('a job goes to the machine that has its model', limits, within(async (w) => {
        const { origin, broker, agents } = await place(w, (o) => [o.add('a', 2 * MB), o.add('b', 2 * MB)], { agents: 2 });
        const first = await broker.state(await run(broker, ['a']), 'completed');
        const other = agents.find((x) => x.id !== first.machine_id);
        for (let n = 0; n < 5; n++) assert.equal((await broker.state(await run(broker, ['a']), 'completed')).machine_id, first.machine_id);
        const d = (await broker.get(`/api/jobs/${first.id}/decision`)).body;
        assert.equal(d.fallback, 'fetch');
        assert.ok(d.candidates[0].terms.fetch > 0 && d.candidates[0].modelDownloadCost === d.candidates[0].terms.fetch);
        assert.ok(!existsSync(fileOf(other, 'a')));
        assert.deepEqual([origin.count('a'), origin.count('b')], [1, 0]);
    }));

    it('a connection that breaks off again and again is resumed where it stood', limits, within(async (w) => {
        const breaks = (req, res, content, from) => {
            Origin.head(res, content, from);
            res.write(content.subarray(from, from + 700_000), () => setTimeout(() => (from + 700_000 < content.length ? res.destroy() : res.end()), 20));
        };
        const { origin, broker, agent, models } = await place(w, (o) => [o.add('m', 3 * MB, breaks)]);
        const job = await broker.state(await run(broker, ['m']), 'completed');
        assert.equal(job.attempts.length, 1, 'within one attempt');
        assert.equal(hashOf(fileOf(agent, 'm')), models[0].sha256);
        const starts = origin.requests.map((r) => r.range ?? 0);
        assert.ok(starts.length >= 4 && starts.every((s, i) => i === 0 || s > starts[i - 1]), `ranges: ${starts}`);
    }));

    it('half a file is resumed after the agent was killed', limits, within(async (w) => {
        let hold = true;
        const half = (req, res, content, from) => {
            Origin.head(res, content, from);
            if (!hold) res.end(content.subarray(from));
            else res.write(content.subarray(from, 2 * MB));
        };
        const { origin, broker, agent, models } = await place(w, (o) => [o.add('m', 4 * MB, half)], { agent: { config: { agent: { models: { stall: '1m' } } } } });
        const id = await run(broker, ['m']);
        await until(async () => (await agent.machine()).fetch_left_bytes <= 2 * MB && (await agent.machine()).fetch_left_bytes > 0, 'half to be fetched');
        await tick(300);
        await agent.kill();
        assert.ok(!existsSync(fileOf(agent, 'm')), 'half a file is not visible');
        hold = false;
        await agent.start();
        await broker.state(id, 'completed');
        assert.equal(hashOf(fileOf(agent, 'm')), models[0].sha256);
        assert.ok(origin.requests.at(-1).range > 0, `resumed at ${origin.requests.at(-1).range}`);
    }));

    it('a server that ignores ranges is read from the start again; one whose file changed as well', limits, within(async (w) => {
        let n = 0;
        const ignores = (req, res, content) => {
            res.writeHead(200, { 'content-length': content.length });
            if (n++ === 0) res.write(content.subarray(0, MB), () => setTimeout(() => res.destroy(), 20));
            else res.end(content);
        };
        const { broker, agent, models } = await place(w, (o) => [o.add('m', 2 * MB, ignores)]);
        await broker.state(await run(broker, ['m']), 'completed');
        assert.equal(hashOf(fileOf(agent, 'm')), models[0].sha256);
    }));

    it('redirects are followed; a mirror stands in for one that has nothing, refuses, stalls or lies', limits, within(async (w) => {
        const origin = await w.origin();
        const behaviours = {
            missing: (req, res) => res.writeHead(404).end(),
            broken: (req, res) => res.writeHead(500).end('no'),
            stalls: (req, res, content) => (Origin.head(res, content, 0), res.write(content.subarray(0, 1000))),
            silent: () => {},
            short: (req, res, content) => res.writeHead(200, { 'content-length': 1000 }).end(content.subarray(0, 1000)),
            longer: (req, res, content) => res.writeHead(200, { 'content-length': content.length + 5 }).end(Buffer.concat([content, Buffer.from('12345')])),
            other: (req, res, content) => (Origin.head(res, content, 0), res.end(Buffer.alloc(content.length))),
            refused: undefined,
        };
        const models = Object.entries(behaviours).map(([name, serve]) => {
            const good = origin.add(name, 300_000);
            const bad = serve ? origin.add(`bad-${name}`, 300_000, serve).urls[0] : 'http://127.0.0.1:9/none';
            origin.files.set(`/bad-${name}`, { content: origin.files.get(`/${name}`).content, serve });
            origin.files.set(`/redirect-${name}`, { content: Buffer.alloc(0), serve: (req, res) => res.writeHead(302, { location: good.urls[0] }).end() });
            return { ...good, urls: [bad, `${origin.url}/redirect-${name}`] };
        });
        const broker = await w.broker({ config: { ...quick, models } });
        const agent = await w.agent(broker, { slots: 8, config: { agent: { models: { stall: '500ms', fetches_max: 8 } } } }).start();
        await Promise.all(models.map(async (m) => {
            const job = await broker.state(await run(broker, [m.name]), 'completed');
            assert.equal(hashOf(fileOf(agent, m.name)), m.sha256, m.name);
            assert.equal(job.attempts.length, 1, `${m.name}: the mirror is tried within the attempt`);
        }));
    }));

    it('without a mirror: the job is told what was wrong with which model, and no file appears', limits, within(async (w) => {
        const behaviours = {
            missing: [(req, res) => res.writeHead(404).end(), 'not_found', /404/],
            stalls: [(req, res, content) => (Origin.head(res, content, 0), res.write(content.subarray(0, 1000))), undefined, /stall|0\.5|500|nothing/i],
            short: [(req, res, content) => res.writeHead(200, { 'content-length': 1000 }).end(content.subarray(0, 1000)), 'size_mismatch', /1000/],
            longer: [(req, res, content) => res.writeHead(200, { 'content-length': content.length + 5 }).end(Buffer.concat([content, Buffer.from('12345')])), 'size_mismatch', /300005|300000/],
            endless: [(req, res, content) => (res.writeHead(200), res.end(Buffer.concat([content, content]))), 'size_mismatch', /300000/],
            other: [(req, res, content) => (Origin.head(res, content, 0), res.end(Buffer.alloc(content.length))), 'hash_mismatch', /sha256|content/],
        };
        const { broker, agent } = await place(w, (o) => Object.entries(behaviours).map(([name, [serve]]) => o.add(name, 300_000, serve)), { agent: { slots: 8, config: { agent: { models: { stall: '500ms', fetches_max: 8 } } } } });
        await Promise.all(Object.entries(behaviours).map(async ([name, [, code, text]]) => {
            const job = await broker.done(await run(broker, [name], { max_retries: 1 }));
            assert.equal(job.status, 'failed', name);
            if (code) assert.equal(job.code, code, `${name}: ${job.error}`);
            assert.match(job.error, new RegExp(name), 'the model is named');
            assert.match(job.error, text);
            assert.ok(!existsSync(fileOf(agent, name)), `${name} is not visible`);
        }));
        assert.equal((await agent.machine()).status, 'connected');
        await broker.state(await broker.simulate(), 'completed');
    }));

    it('a wrong hash on one machine: the job goes on elsewhere, where the content is right', limits, within(async (w) => {
        let n = 0;
        const liesOnce = (req, res, content, from) => {
            Origin.head(res, content, from);
            res.end(n++ === 0 ? Buffer.alloc(content.length - from) : content.subarray(from));
        };
        const { broker } = await place(w, (o) => [o.add('m', 200_000, liesOnce)], { agents: 2 });
        const job = await broker.state(await run(broker, ['m']), 'completed');
        assert.ok(job.attempts.length <= 2);
        if (job.attempts.length === 2) assert.equal(job.attempts[0].code, 'hash_mismatch');
    }));

    it('a job’s specialty is that of its models', limits, within(async (w) => {
        const { broker, agents } = await place(w, (o) => [o.add('lens', 1000, Origin.well, { category: 'photography' }), o.add('plain', 1000)], {
            broker: { config: { pools: { photo: { parent: 'fast-lane', specialty: 'photography', run_max: '30s' } } } },
        });
        const special = await w.agent(broker, { pool: 'photo', slots: 4, config: { agent: { specialties: ['photography'] } } }).start();
        const inferred = await broker.state(await run(broker, ['lens']), 'completed');
        assert.deepEqual([inferred.machine_id, inferred.pool], [special.id, 'photo']);
        assert.equal((await broker.state(await run(broker, ['plain']), 'completed')).machine_id, agents[0].id);
        assert.equal((await broker.state(await run(broker, ['lens'], { specialty: 'none-such', wait: true, pool: 'fast-lane' }), 'completed')).machine_id, agents[0].id, 'what a job says itself comes first');
    }));

    it('kill -9 in the middle of fetches: only whole files are ever visible, all jobs complete', limits, within(async (w, t) => {
        const seed = Number(process.env.EMP_TEST_SEED ?? 7);
        t.diagnostic(`EMP_TEST_SEED=${seed}`);
        const rand = random(seed);
        const slow = (req, res, content, from) => {
            Origin.head(res, content, from);
            let at = from;
            const step = () => {
                if (res.destroyed || at >= content.length) return res.end();
                res.write(content.subarray(at, (at += 100_000)));
                setTimeout(step, 15);
            };
            step();
        };
        const names = ['a', 'b', 'c', 'd', 'e', 'f'];
        const { broker, agent, models } = await place(w, (o) => names.map((n) => o.add(n, MB, slow)), { agent: { args: ['--disk-budget', '4mb'] } });
        const ids = [];
        for (let n = 0; n < 24; n++) ids.push(await run(broker, [names[n % names.length]], { max_retries: 100 }));
        const whole = () => {
            for (const m of models) if (existsSync(fileOf(agent, m.name))) assert.equal(hashOf(fileOf(agent, m.name)), m.sha256, `${m.name} is visible, so it is whole`);
        };
        for (let kills = 0; kills < 8; kills++) {
            await tick(100 + rand() * 500);
            await agent.kill();
            whole();
            agent.launch();
        }
        for (const id of ids) {
            const job = await broker.state(id, 'completed');
            assert.equal(job.attempts.filter((a) => a.outcome === 'completed').length, 1);
        }
        whole();
    }));

    it('cancelling the only job that wants it stops the fetch', limits, within(async (w) => {
        const slow = (req, res, content) => (Origin.head(res, content, 0), res.write(content.subarray(0, 1000)));
        const { origin, broker, agent } = await place(w, (o) => [o.add('m', 5 * MB, slow)], { agent: { config: { agent: { models: { stall: '10m' } } } } });
        const id = await run(broker, ['m']);
        await until(() => origin.count('m') === 1 && origin.sockets.size === 1, 'the fetch to begin');
        await broker.delete(`/api/jobs/${id}`);
        await until(() => origin.sockets.size === 0, 'the connection to be closed');
        await broker.state(await broker.simulate(), 'completed');
        assert.ok(agent.process.alive);
    }));
});

describe('removing', { concurrency: 3 }, () => {
    it('an entry that no job needs is gone for good; one that is needed stays', limits, within(async (w) => {
        const { broker, agent } = await place(w, (o) => [o.add('kept', 1000)]);
        assert.equal((await broker.post('/api/models', { name: 'dir/m', bytes: 1000, urls: ['http://127.0.0.1:9/m'], path: 'shared' })).status, 201);
        const waits = await broker.submit({ service_required: 'simulation', payload: {}, models: ['dir/m'], region: 'nowhere', wait: true });
        const needed = await broker.delete('/api/models/dir%2Fm');
        assert.deepEqual([needed.status, needed.body.code], [409, 'conflict']);
        assert.match(needed.body.error, /dir\/m/);
        await broker.delete(`/api/jobs/${waits}`);
        const gone = await broker.delete('/api/models/dir%2Fm');
        assert.deepEqual([gone.status, gone.body.success, gone.body.name], [200, true, 'dir/m']);
        const again = await broker.delete('/api/models/dir/m');
        assert.deepEqual([again.status, again.body.code], [404, 'not_found']);
        const names = async () => (await broker.get('/api/models')).body.models.map((m) => m.name);
        assert.deepEqual(await names(), ['kept']);
        const refused = await broker.post('/api/jobs', { service_required: 'simulation', models: ['dir/m'] });
        assert.deepEqual([refused.status, refused.body.code], [422, 'unknown_model']);
        assert.equal((await broker.post('/api/models', { name: 'other', bytes: 5, path: 'shared' })).status, 201, 'its path is free again');
        await broker.kill();
        await broker.start();
        assert.deepEqual((await names()).sort(), ['kept', 'other'], 'after a restart, too');
        await broker.state(await run(broker, ['kept']), 'completed');
        assert.ok(agent.process.alive);
    }));
});

describe('the disk', { concurrency: 3 }, () => {
    it('the budget is kept by evicting what is not in use, least worth first', limits, within(async (w) => {
        const { origin, broker, agent } = await place(w, (o) => ['a', 'b', 'c', 'd'].map((n) => o.add(n, 2 * MB)), { agent: { config: {}, args: ['--disk-budget', '5mb'] } }); // no short stall: fetches are counted
        const holds = async () => (await agent.machine()).models.filter((m) => m.residency !== 'none').map((m) => m.model).sort();
        for (let n = 0; n < 6; n++) await broker.state(await run(broker, ['a']), 'completed');
        await broker.state(await run(broker, ['b']), 'completed');
        assert.deepEqual(await holds(), ['a', 'b']);
        await broker.state(await run(broker, ['c']), 'completed');
        assert.deepEqual(await until(async () => (await holds()).length === 2 && holds(), 'one to be evicted'), ['a', 'c'], 'b was used least');
        assert.ok(!existsSync(fileOf(agent, 'b')));
        const held = modelFiles(agent).map((f) => fileOf(agent, f)).filter((f) => statSync(f).isFile()).reduce((sum, f) => sum + statSync(f).size, 0);
        assert.ok(held <= 5 * MB, `${held} bytes on the disk`);
        assert.equal(origin.count('b'), 1);
        await broker.state(await run(broker, ['b']), 'completed');
        assert.equal(origin.count('b'), 2, 'evicted, fetched again');
    }));

    it('what a running job uses is never evicted: the next waits for room', limits, within(async (w) => {
        const { broker, agent } = await place(w, (o) => ['a', 'b'].map((n) => o.add(n, 2 * MB)), { agent: { args: ['--disk-budget', '3mb'] } });
        const running = await broker.simulate({ duration_ms: 2500 }, { models: ['a'] });
        await broker.state(running, 'in_progress');
        const next = await run(broker, ['b']);
        await tick(1000);
        assert.notEqual((await broker.job(next)).status, 'completed');
        assert.ok(existsSync(fileOf(agent, 'a')), 'still there');
        await broker.state(next, 'completed');
        assert.equal((await broker.job(running)).status, 'completed');
    }));

    it('a model larger than any budget: refused, unless the job wants to wait', limits, within(async (w) => {
        const { broker } = await place(w, (o) => [{ ...o.add('huge', 1000), bytes: 10 * MB }], { broker: { config: { default_pools: false, pools: { p: { disk_max: '5mb' } } } }, agent: { pool: 'p', args: ['--disk-budget', '5mb'] } });
        const refused = await broker.post('/api/jobs', { service_required: 'simulation', models: ['huge'] });
        assert.deepEqual([refused.status, refused.body.code], [422, 'unrunnable'], refused.text);
        assert.match(refused.body.error, /huge|10000000|10 MB|disk/);
    }));

    it('a pinned model stays', limits, within(async (w) => {
        const { broker, agent } = await place(w, (o) => [o.add('keep', 2 * MB, Origin.well, { pinned: true }), o.add('b', 2 * MB), o.add('c', 2 * MB)], { agent: { args: ['--disk-budget', '5mb'] } });
        for (const name of ['keep', 'b', 'b', 'b', 'c']) await broker.state(await run(broker, [name]), 'completed');
        assert.ok(existsSync(fileOf(agent, 'keep')) && !existsSync(fileOf(agent, 'b')));
    }));

    it('files that stand there already are found, verified, and used', limits, within(async (w) => {
        const origin = await w.origin();
        const entry = origin.add('sub/m', 400_000);
        const broker = await w.broker({ config: { models: [entry] } });
        const agent = w.agent(broker);
        mkdirSync(path.dirname(fileOf(agent, 'sub/m')), { recursive: true });
        writeFileSync(fileOf(agent, 'sub/m'), origin.files.get('/sub/m').content);
        await agent.start();
        await broker.state(await run(broker, ['sub/m']), 'completed');
        assert.equal(origin.requests.length, 0, 'not fetched');
        await agent.kill();
        writeFileSync(fileOf(agent, 'sub/m'), Buffer.alloc(399_000));
        await agent.start();
        await broker.state(await run(broker, ['sub/m']), 'completed');
        assert.equal(hashOf(fileOf(agent, 'sub/m')), entry.sha256, 'a damaged one is replaced');
    }));

    it('a full disk: the job is told, goes elsewhere, and the machine recovers', limits, within(async (w, t) => {
        const disk = await smallDisk(w, 'small', 6000);
        if (!disk) return t.skip('no user namespaces here');
        const { broker, agent } = await place(w, (o) => [o.add('m', 4 * MB)], { broker: { config: { quarantine: { duration: '1s' } } }, agent: { wrap: disk.wrap, args: ['--models-dir', disk.dir, '--disk-budget', '100mb'] } });
        writeFileSync(disk.inside(agent.process, 'filler'), Buffer.alloc(4 * MB));
        const id = await run(broker, ['m']);
        const tried = await broker.jobUntil(id, (j) => j.attempts.some((a) => a.ended_at), 'tried once');
        assert.match(tried.attempts[0].error, /room|space|full|disk/i);
        assert.deepEqual([tried.attempts[0].outcome, tried.attempts[0].counted], ['returned', false], 'the machine’s fault');
        const other = await w.agent(broker, { slots: 2, config: stall }).start();
        assert.equal((await broker.state(id, 'completed')).machine_id, other.id);
        await other.stop();
        unlinkSync(disk.inside(agent.process, 'filler'));
        assert.equal((await broker.state(await run(broker, ['m']), 'completed')).machine_id, agent.id);
    }));
});
