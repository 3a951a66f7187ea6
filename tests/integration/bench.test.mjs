/* `emp bench` measures, says so in both forms, and leaves nothing behind. Figures are never tested. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import test from 'node:test';
import { until, within } from './lib.mjs';

const left = (w) => readdirSync(w.dir).filter((name) => name.startsWith('emp-bench-'));

test('every benchmark runs, as JSON', within(async (w) => {
    const bench = await w.run(['bench', '--runs', '2', '--jobs', '150', '--agents', '2', '--slots', '4', '--dir', w.dir, '--json']);
    assert.equal(bench.status, 0, bench.stderr);
    const report = JSON.parse(bench.stdout);
    assert.ok(report.machine.cpu && report.machine.cores > 0 && report.machine.kernel && report.machine.fdatasync_us > 0);
    assert.deepEqual(report.results.map((r) => r.name), ['http', 'lifecycle', 'latency']);
    for (const r of report.results) {
        assert.equal(r.jobs, 150);
        assert.equal(r.runs.length, 2);
        assert.ok(r.runs[0] > 0 && r.runs[0] <= r.runs[1] && r.median >= r.runs[0] && r.median <= r.runs[1], JSON.stringify(r));
        assert.ok(r.p50_us > 0 && r.p50_us <= r.p99_us && r.p99_us <= r.max_us, JSON.stringify(r));
        assert.ok(r.broker_cpu_us_per_job > 0 && r.load_cpu_us_per_job > 0);
    }
    assert.deepEqual(left(w), [], 'its directories are gone');
}));

test('one benchmark, for people, on a broker that runs', within(async (w) => {
    const broker = await w.broker();
    const { stdout } = await w.run(['bench', 'http', '--runs', '1', '--jobs', '20', '--broker', broker.url]);
    assert.match(stdout, /cores/);
    assert.match(stdout, /^http +\d+\/s/m);
    assert.equal((await broker.get('/api/jobs')).body.total, 20);
}));

test('what cannot be measured is told', within(async (w) => {
    const fails = async (args, text) => {
        const bench = await w.run(['bench', '--dir', w.dir, ...args]);
        assert.match(bench.stderr, text);
        assert.ok(bench.status > 0, `${args} succeeded`);
    };
    await fails(['speed'], /unknown benchmark "speed"/);
    await fails(['--slots', '0'], /slots/);
    await fails(['--broker', 'ftp://x'], /http:\/\/HOST:PORT/);
    await fails(['http', '--config', `${w.dir}/none.yaml`], /did not start/);
    assert.deepEqual(left(w), []);
}));

test('interrupted, it ends its broker and leaves nothing behind', within(async (w) => {
    const bench = w.start('emp bench', ['bench', 'lifecycle', '--jobs', '100000000', '--dir', w.dir]);
    await until(() => left(w).length > 0, 'the first run');
    await bench.kill('SIGINT');
    assert.match(bench.stderr, /interrupted/);
    assert.deepEqual(left(w), []);
}));
