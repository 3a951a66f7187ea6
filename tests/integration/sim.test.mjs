/* `emp sim` against the history and the recordings of real brokers. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { limits, within } from './lib.mjs';

const good = async (w, ...args) => {
    const p = await w.run(args);
    assert.equal(p.status, 0, `emp ${args.join(' ')}: ${p.output}`);
    return p.stdout;
};

describe('export', { concurrency: 4 }, () => {
    it('writes the same trace from a running broker and from its data', limits, within(async (w) => {
        const models = [{ name: 'a;b', kind: 'checkpoint', bytes: 1000, urls: ['http://127.0.0.1:9/a'] }, { name: 'l:1', kind: 'lora', bytes: 10, urls: ['http://127.0.0.1:9/l'] }];
        const broker = await w.broker({ config: { models, retry: { base: '50ms' } } });
        const agent = await w.agent(broker, { slots: 2 }).start();
        const ids = [];
        for (let i = 0; i < 30; i++) ids.push(await broker.simulate({ duration_ms: 20 }, { priority: i, customer_id: `c "${i % 3}", x`, user_tier: i % 2 ? 'premium' : 'free' }));
        for (const id of ids) await broker.state(id, 'completed');
        await agent.stop();
        await broker.simulate({}, { models: ['a;b', 'l:1'], pool: 'standard', wait: true });

        const live = w.path('live.csv'), kept = w.path('kept.csv');
        assert.match(await good(w, 'sim', 'export', '--broker', broker.url, '--out', live), /^31 jobs, 30 of which have run/);
        await broker.stop();
        assert.match(await good(w, 'sim', 'export', '--data', broker.data, '--out', kept), /^31 jobs, 30 of which have run/);
        const text = readFileSync(kept, 'utf8');
        const lines = text.trim().split('\n');
        assert.equal(lines[0], 'submitted_at,customer,tier,service,priority,pool,models,run_ms');
        assert.match(lines[2], /^20\d\d-\d\d-\d\dT[\d:.]+Z,"c ""1"", x",premium,simulation,1,[a-z-]*,,\d+$/);
        assert.match(lines[31], /,free,simulation,50,standard,a%3Bb:1000:checkpoint;l:1:10:lora,$/);
        /* The API shows where a job ran; the store what it asked for. */
        const but = (t) => t.split('\n').map((l) => l.replace(/,(simulation,[\d.]+),[a-z-]*,/, ',$1,,'));
        assert.deepEqual(but(readFileSync(live, 'utf8')), but(text));
    }));

    it('says what it needs', limits, within(async (w) => {
        for (const [args, status, text] of [
            [[], 2, /--out FILE and one of --data DIR, --broker URL/],
            [['--data', w.path('none'), '--out', w.path('x')], 3, /is no broker's data directory/],
            [['--data', 'a', '--broker', 'b', '--out', 'x'], 2, /one of/],
            [['--broker', 'http://127.0.0.1:9', '--out', w.path('x')], 69, /Failed to connect to 127\.0\.0\.1 port 9/],
        ]) {
            const p = await w.run(['sim', 'export', ...args]);
            assert.equal(p.status, status, p.output);
            assert.match(p.stderr, text);
        }
    }));
});

describe('black box', { concurrency: 4 }, () => {
    const boxes = (broker) => readdirSync(path.join(broker.data, 'blackbox')).filter((f) => f.endsWith('.box')).sort().map((f) => path.join(broker.data, 'blackbox', f));
    const config = { blackbox: { size: '64mb' }, retry: { base: '50ms' }, models: [{ name: 'm', bytes: 1000, urls: ['http://127.0.0.1:9/m'] }] };

    it('a broker that was killed, and its next run, are replayed decision for decision', limits, within(async (w) => {
        const broker = await w.broker({ config });
        const agent = await w.agent(broker, { slots: 2 }).start();
        const ids = [];
        for (let i = 0; i < 40; i++) ids.push(await broker.simulate({ duration_ms: 20, fail_attempts: i % 7 === 4 ? 1 : 0, result: { big: 'x'.repeat(50_000) } }, { priority: i }));
        await broker.post(`/api/jobs/${ids[0]}/cancel`);
        await broker.state(ids[39], 'completed');
        await broker.kill();
        await broker.start();
        for (const id of ids.slice(1)) await broker.state(id, 'completed');
        assert.equal((await broker.delete('/api/models/m')).status, 200);
        await broker.post(`/api/machines/${agent.id}/drain`);
        await agent.stop();
        await broker.stop();
        const [first, second, ...none] = boxes(broker);
        assert.equal(none.length, 0);
        const one = await good(w, 'sim', 'replay', first);
        assert.match(one, /job \d+ submitted\n/);
        assert.match(one, new RegExp(`job \\d+ attempt 1 -> ${agent.id} at [\\d.]+ s`));
        assert.match(one, /every step as recorded\n$/);
        const two = await good(w, 'sim', 'replay', second, '--quiet');
        assert.match(two, /^recorded by emp .* [1-9]\d* changes restored, \d+ events, \d+ actions, \d+ assignments\nevery step as recorded\n$/);
        const forty = await good(w, 'sim', 'replay', first, '--job', '40');
        assert.ok(forty.split('\n').filter((l) => / job /.test(l)).every((l) => / job 40 /.test(l)) && / job 40 requeued/.test(forty), forty);
    }));

    it('is off unless a size is configured, and wants a sensible one', limits, within(async (w) => {
        const broker = await w.broker({});
        assert.throws(() => boxes(broker), /ENOENT/);
        const p = await w.run(['config', '--check', w.file('c.yaml', { blackbox: { size: '1mb' } })]);
        assert.notEqual(p.status, 0);
        assert.match(p.output, /blackbox.size: it must be 0 or at least 32mb/);
    }));

    it('what is no recording is refused', limits, within(async (w) => {
        for (const [file, status, text] of [[w.file('x.box', 'nothing'), 2, /is no recording of a black box/], [w.path('none'), 3, /cannot be read/]]) {
            const p = await w.run(['sim', 'replay', file]);
            assert.equal(p.status, status, p.output);
            assert.match(p.stderr, text);
        }
    }));
});
