/* The demo as people use it: `--once` alone and beside a running one, a sample set that does not succeed, and the end, however it
 * comes. Every run has a TMPDIR of its own, which the command lines of all its processes contain: so nothing that stays behind is missed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { emp, root, until, within } from '../integration/lib.mjs';

const RUN = { timeout: 300_000 };
const AGENTS = ['fast-lane-1', 'fast-lane-2', 'standard-1', 'standard-2', 'heavy-1', 'heavy-2'];
const KEYS = ['job', 'pool', 'machine', 'status', 'waited_s', 'ran_s', 'bytes_fetched', 'outputs'];

/* [{pid, line}] of living processes whose command line contains `text`. */
function processes(text) {
    const found = [];
    for (const pid of readdirSync('/proc').filter((d) => /^\d+$/.test(d))) {
        try {
            const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
            if (line.includes(text)) found.push({ pid: Number(pid), line });
        } catch {
            // it ended meanwhile
        }
    }
    return found;
}

/* A place for one demo: its TMPDIR, and a folder with the program, where it leaves its note. */
class Place {
    constructor(w) {
        this.tmp = w.path('tmp');
        this.programs = w.path('programs');
        for (const dir of [this.tmp, this.programs, w.path('build')]) mkdirSync(dir);
        this.emp = w.path('build', 'emp');
        symlinkSync(emp, this.emp);
        this.note = w.path('build', 'demo.json');
        this.runs = [];
        w.later(async () => {
            for (const run of this.runs) run.child.kill('SIGKILL');
            await this.nobody();
        });
    }
    /* A program that stands in for Debian's. */
    program(name, script) {
        const file = path.join(this.programs, name);
        writeFileSync(file, `#!/bin/bash\n${script}\n`);
        chmodSync(file, 0o755);
    }
    demo(...args) {
        const env = { ...process.env, EMP: this.emp, TMPDIR: this.tmp, EMP_DEMO_PATH: `${this.programs}:/usr/bin` };
        const child = spawn(path.join(root, 'demo/up'), args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
        const run = { child, output: '' };
        for (const stream of [child.stdout, child.stderr]) {
            stream.setEncoding('utf8').on('data', (text) => {
                run.output += text;
            });
        }
        run.ended = new Promise((done) => {
            child.on('close', (code, signal) => {
                run.status = code ?? signal;
                done(run.status);
            });
        });
        run.says = async (pattern) => {
            await until(() => pattern.test(run.output) || run.status !== undefined, `${pattern} from the demo`, 120_000);
            assert.match(run.output, pattern);
        };
        this.runs.push(run);
        return run;
    }
    running(text = '') {
        return processes(this.tmp).filter((p) => p.line.includes(text));
    }
    nobody() {
        return until(() => this.running().length === 0 || undefined, `an end of ${this.tmp}'s processes`);
    }
    assertClean() {
        assert.deepEqual(this.running(), [], 'no process is left');
        assert.deepEqual(readdirSync(this.tmp), [], 'no file is left');
        assert.ok(!existsSync(this.note), 'no note is left');
    }
}

/* Long clips in no time. */
const hasty = 'exec /usr/bin/ffmpeg "${@/veryslow/ultrafast}"';

test('--once: all pools work, models are fetched, found and evicted, every output is right', RUN, within(async (w) => {
    const place = new Place(w);
    const json = w.path('rows.json');
    const run = place.demo('--once', '--json', json);
    assert.equal(await run.ended, 0, run.output);

    const rows = JSON.parse(readFileSync(json, 'utf8'));
    assert.ok(rows.length >= 20);
    for (const row of rows) {
        assert.deepEqual(Object.keys(row), KEYS);
        assert.equal(row.status, 'completed');
        assert.ok(AGENTS.includes(row.machine), `machine ${row.machine}`);
        assert.ok(row.machine.startsWith(row.pool), `${row.machine} is in the pool ${row.pool}`);
        assert.ok(row.waited_s >= 0 && row.ran_s > 0);
        assert.equal(row.outputs.length, 1);
        assert.match(row.outputs[0].sha256, /^[0-9a-f]{64}$/);
    }
    const outputs = (pool) => new Set(rows.filter((r) => r.pool === pool).map((r) => r.outputs[0].name));
    assert.ok(outputs('fast-lane').has('result.png'));
    assert.ok(outputs('standard').has('page.txt'));
    assert.ok(outputs('heavy').has('clip.mp4'));
    const pages = rows.filter((r) => r.outputs[0].name === 'page.txt');
    const fetched = pages.filter((r) => r.bytes_fetched > 0);
    assert.ok(fetched.length > 0 && fetched.length < pages.length, `${fetched.length} of ${pages.length} pages had to fetch`);
    const [, times] = run.output.match(/(\d+) times evicted/);
    assert.ok(Number(times) > 0);
    assert.equal(run.output.match(/had to leave/g).length, Number(times));
    place.assertClean();
}));

test('--once: a job that fails, and one whose output is wrong, are named, and the status is 1', RUN, within(async (w) => {
    const place = new Place(w);
    place.program('ffmpeg', hasty);
    place.program('tesseract', '[ "$6" != deu ] || { echo "no such word" >&2; exit 65; }\necho nonsense >"$2.txt"');
    const json = w.path('rows.json');
    const run = place.demo('--once', '--json', json);
    assert.equal(await run.ended, 1, run.output);
    assert.match(run.output, /FAILED +page 2 \(deu\).*no such word/);
    assert.match(run.output, /FAILED +page 1 \(eng\).*not the one drawn/);
    assert.doesNotMatch(run.output, /FAILED +(clip|picture)/);
    const statuses = JSON.parse(readFileSync(json, 'utf8')).map((r) => r.status);
    assert.ok(statuses.includes('failed') && statuses.includes('completed'));
    assert.deepEqual(place.running(), []);
    assert.match(run.output, /the logs are in/);
}));

test('--once beside a running demo, whose broker and an agent are killed; then Ctrl-C', RUN, within(async (w) => {
    const place = new Place(w);
    place.program('ffmpeg', hasty);
    const demo = place.demo('--port', '0');
    await demo.says(/Ctrl-C ends everything/);
    const second = place.demo();
    assert.equal(await second.ended, 1);
    assert.match(second.output, /runs already at/);

    const once = place.demo('--once');
    await once.says(/The demo that runs at http:\S+ gets the jobs/);
    await until(() => place.running('page.png').length, 'a page to be read', 120_000);
    for (const name of ['/broker --config', '/standard-1 --config']) {
        const [victim, more] = place.running(name);
        assert.ok(victim && !more, `one process ${name}`);
        process.kill(victim.pid, 'SIGKILL');
    }
    assert.equal(await once.ended, 0, once.output);
    await demo.says(/broker is back/);
    await demo.says(/standard-1 is back/);

    demo.child.kill('SIGINT');
    assert.equal(await demo.ended, 0, demo.output);
    place.assertClean();
}));

test('Ctrl-C in the middle of --once leaves nothing', RUN, within(async (w) => {
    const place = new Place(w);
    const run = place.demo('--once');
    await until(() => place.running('/clip.mp4').some((p) => p.line.includes('veryslow')), 'a clip to be transcoded', 120_000);
    run.child.kill('SIGINT');
    assert.equal(await run.ended, 130, run.output);
    place.assertClean();
}));

test('kill -9 of the demo ends broker, agents and what they run', RUN, within(async (w) => {
    const place = new Place(w);
    const run = place.demo('--once');
    await until(() => place.running('/clip.mp4').some((p) => p.line.includes('veryslow')), 'a clip to be transcoded', 120_000);
    assert.ok(place.running('serve').length && place.running('agent').length >= AGENTS.length);
    run.child.kill('SIGKILL');
    await run.ended;
    await place.nobody();
}));

test('wrong options are refused with status 2', within(async (w) => {
    const place = new Place(w);
    for (const args of [['--twice'], ['--json'], ['--json', 'rows.json'], ['--port', '65536'], ['--once', '--port', '1']]) {
        const run = place.demo(...args);
        assert.equal(await run.ended, 2);
        assert.match(run.output, /usage: /);
    }
    place.assertClean();
}));
