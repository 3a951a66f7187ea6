/* ./dev up: a broker, a model origin and six agents on this machine, and real work for them.
 *
 *   (nothing)      start, show what to try, keep running until Ctrl-C
 *   --port N       where the broker listens; 0: anywhere. Default: 3331 if it is free, else anywhere
 *   --once         submit the sample set, show it, check the outputs, end; status 0: every job succeeded
 *   --json FILE    with --once: per job {job,pool,machine,status,waited_s,ran_s,bytes_fetched,outputs}
 *
 * `--once` beside a demo that runs already (of the same build) gives its jobs to that one. Such a demo
 * is known by a note beside the program. $EMP is another program than build/emp; $EMP_DEMO_PATH are
 * folders with other builds of convert, tesseract and ffmpeg than Debian's. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { api } from './api.mjs';
import { Fleet } from './fleet.mjs';
import { runOnce } from './once.mjs';
import { startOrigin } from './origin.mjs';
import { catalogue, originFiles, sampleFiles, sampleJobs } from './samples.mjs';

const HELP = 'usage: ./dev up [--port N]\n       ./dev up --once [--json FILE]';
const EMP = resolve(process.env.EMP ?? join(dirname(fileURLToPath(import.meta.url)), '../build/emp'));
const NOTE = join(dirname(EMP), 'demo.json');
const PORT = 3331; // that of emp itself
const SCALE = 'scaled to short jobs: fast-lane below 0.5 s, standard below 5 s, heavy above';

/* Programs of that name in /usr/local/bin may be anything. */
process.env.PATH = `${process.env.EMP_DEMO_PATH ?? '/usr/bin'}:${process.env.PATH}`;

function parseArgs(argv) {
    const options = { once: false, json: null, port: null };
    for (let i = 0; i < argv.length; i++) {
        const value = argv[i + 1];
        if (argv[i] === '--once') options.once = true;
        else if (argv[i] === '--json' && value) options.json = resolve(argv[++i]);
        else if (argv[i] === '--port' && /^\d{1,5}$/.test(value) && value < 65536) options.port = Number(argv[++i]);
        else if (argv[i] === '--help' || argv[i] === '-h') return { help: true };
        else return { wrong: `unknown or incomplete option: ${argv.slice(i, i + 2).join(' ')}` };
    }
    if (options.json && !options.once) return { wrong: '--json goes with --once' };
    if (options.port !== null && options.once) return { wrong: '--port does not go with --once' };
    return options;
}

/* ---------------------------------------------------------------- the end, from outside */

/* Resolves with the name of the first signal; a second one ends everything at once. */
const interrupted = { by: null, now: () => {} };
interrupted.happened = new Promise((done) => {
    const stop = (name) => {
        if (interrupted.by) interrupted.now();
        interrupted.by ??= name;
        done(name);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop(signal));
    process.stdout.on('error', () => stop('SIGPIPE')); // nobody reads any more
});

/* ---------------------------------------------------------------- a demo that runs already */

async function runningDemo() {
    if (!existsSync(NOTE)) return null;
    try {
        const { pid, broker } = JSON.parse(readFileSync(NOTE, 'utf8'));
        process.kill(pid, 0);
        await api(broker, '/health', { awayMs: 0 });
        return { pid, broker };
    } catch {
        rmSync(NOTE, { force: true }); // of one that was killed
        return null;
    }
}

const portIsFree = (port) => new Promise((done) => {
    const probe = createServer().once('error', () => done(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => done(true)));
});

/* ---------------------------------------------------------------- a demo of our own */

function invite(fleet, files) {
    const emp = relative(process.cwd(), EMP);
    const pids = [...fleet.processes.values()].map((p) => `${p.name} ${p.pid}`);
    const tries = [
        ['./dev up --once', 'the sample set: pictures, pages to read, clips to transcode'],
        [`${emp} machines`, 'who is there, and how busy'],
        [`${emp} models`, 'which models there are, and where copies stand'],
        [`${emp} pools`, 'what belongs into them'],
        [`${emp} jobs`, 'what has run'],
        [`${emp} explain JOB`, 'why a job ran, or waits, where it does'],
    ];
    const width = Math.max(...tries.map(([command]) => command.length)) + 3;
    const lines = [
        '',
        `emp runs at ${fleet.url}, with two agents in each of three pools,`,
        `${SCALE}.`,
        '',
        'Try, in another terminal:',
        '',
        ...(fleet.url.endsWith(`:${PORT}`) ? [] : [`  export EMP_BROKER=${fleet.url}`]),
        ...tries.map(([command, what]) => `  ${command.padEnd(width)}${what}`),
        '',
        'Jobs of your own:',
        '',
        ...Object.values(files).map((file) => `  ${emp} submit --watch --file ${file}`),
        '',
        'Kill -9 what you like, while jobs run; none is lost, and the demo starts it again:',
        '',
        `  ${pids.slice(0, 4).join(', ')},`,
        `  ${pids.slice(4).join(', ')}`,
        '',
        'Ctrl-C ends everything.',
    ];
    console.log(lines.join('\n'));
}

async function keepRunning(fleet, dir) {
    const files = await sampleFiles(join(dir, 'samples'));
    writeFileSync(NOTE, JSON.stringify({ pid: process.pid, broker: fleet.url }));
    invite(fleet, files);
    await Promise.race([interrupted.happened, fleet.failed]);
    console.log('\nEnding …');
}

async function samples(broker, dir, options) {
    console.log('Making the inputs: clips, pages in five languages, pictures …');
    const jobs = await sampleJobs(join(dir, 'inputs'));
    return runOnce(broker, jobs, { json: options.json, dir, stopped: () => interrupted.by !== null });
}

/* Starts everything, does `work` with it, ends everything. Logs are kept when it did not go well. */
async function withFleet(port, work) {
    const dir = mkdtempSync(join(tmpdir(), 'emp-demo-'));
    const fleet = new Fleet({ emp: EMP, dir, path: process.env.PATH, say: (text) => console.log(`demo: ${text}`) });
    interrupted.now = () => {
        fleet.kill();
        process.exit(1);
    };
    let origin;
    let good = false;
    try {
        const files = originFiles();
        origin = await startOrigin(files);
        await Promise.race([fleet.start(port, catalogue(origin.url, files)), interrupted.happened]);
        good = !interrupted.by && await Promise.race([work(fleet, dir), fleet.failed]);
    } finally {
        await fleet.stop();
        origin?.close();
        if (good || interrupted.by) rmSync(dir, { recursive: true, force: true });
        else console.error(`demo: the logs are in ${fleet.logs}`);
    }
    return good;
}

async function up(options) {
    const running = await runningDemo();
    if (running) {
        console.error(`demo: runs already at ${running.broker} (process ${running.pid}); ./dev up --once gives it jobs`);
        return false;
    }
    try {
        const port = options.port ?? (await portIsFree(PORT) ? PORT : 0);
        return await withFleet(port, async (fleet, dir) => {
            await keepRunning(fleet, dir);
            return true;
        });
    } finally {
        rmSync(NOTE, { force: true });
    }
}

async function once(options) {
    if (options.json) writeFileSync(options.json, '[]\n'); // better to fail now than after the work
    const running = await runningDemo();
    if (!running) {
        return withFleet(0, (fleet, dir) => {
            console.log(`emp runs at ${fleet.url}: six agents in three pools,\n${SCALE}.`);
            return samples(fleet.url, dir, options);
        });
    }
    console.log(`The demo that runs at ${running.broker} gets the jobs.`);
    const dir = mkdtempSync(join(tmpdir(), 'emp-demo-once-'));
    try {
        return await samples(running.broker, dir, options);
    } finally {
        rmSync(dir, { recursive: true, force: true });
    }
}

async function main() {
    const options = parseArgs(process.argv.slice(2));
    if (options.help) {
        console.log(HELP);
        return 0;
    }
    if (options.wrong) {
        console.error(`demo: ${options.wrong}\n${HELP}`);
        return 2;
    }
    const good = await (options.once ? once(options) : up(options)).catch((e) => {
        console.error(`demo: ${e.message}`);
        return false;
    });
    if (options.once && interrupted.by) return 130;
    return good ? 0 : 1;
}

process.exitCode = await main();
process.exit();
