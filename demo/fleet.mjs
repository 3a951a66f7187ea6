/* The demo's processes: one broker, and six agents in three pools, each with its own data directory
 * and a small disk budget.
 *
 * They are told to end when the demo ends in any way, be it by kill -9: `setpriv --pdeathsig` asks
 * the kernel to see to it. A terminal's Ctrl-C reaches the demo alone (they have sessions of their
 * own), so that it can end them in order: agents hand back what they run while the broker listens.
 *
 * One that dies by itself, or is killed to see what happens, is started again. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/* The limits are scaled to jobs of seconds: by default they are 30 s and 3 min. So are the penalty, and
 * the links: a model takes longer to come than a page takes to be read, as models of gigabytes do. */
const POOLS = {
    'fast-lane': { run_min: '0s', run_max: '500ms', penalty: '3s', evict_lean: 0.5 },
    standard: { run_min: '500ms', run_max: '5s', penalty: '3s' },
    heavy: { run_min: '5s', run_max: 'never', penalty: '3s', evict_lean: -0.5 },
};
const LINK = '500kb/s';

/* Room for models. In the standard pool, two or three of the five languages on each machine: reading
 * them all means that some have to go. In the others none: their work needs no models. */
const DISK_BUDGET = { 'fast-lane': '1mb', standard: '5mb', heavy: '1mb' };

/* The services of the command connector: real programs, an argv each, never a shell. All machines are
 * one machine here: the longer the work, the nicer it is, so that it slows nobody else down. */
const SERVICES = {
    image: {
        argv: ['convert', '{input.picture.png}', '-resize', '{payload.size}',
            '-modulate', '{payload.modulate}', '-write', '{output.result.png}',
            '-format', '{{"width":%w,"height":%h}}', 'info:'],
        env: ['OMP_NUM_THREADS=1'],
        timeout: '30s',
        memory_max: '2gb',
        output_max: '20mb',
    },
    ocr: {
        argv: ['nice', '-n', '5', 'tesseract', '{input.page.png}', '{outputs}/page',
            '--tessdata-dir', '{model_dir}/tessdata', '-l', '{payload.language}'],
        env: ['OMP_THREAD_LIMIT=1'],
        timeout: '60s',
        memory_max: '2gb',
        output_max: '1mb',
        result: 'none',
    },
    /* The demo's clips have 100 frames: their count is the progress in percent. */
    transcode: {
        argv: ['nice', '-n', '15', 'ffmpeg', '-nostdin', '-loglevel', 'error', '-i', '{input.clip.mp4}',
            '-vf', 'scale={payload.width}:-2', '-c:v', 'libx264', '-preset', 'veryslow',
            '-threads', '1', '-progress', 'pipe:1', '{output.clip.mp4}'],
        progress: 'frame=',
        timeout: '10m',
        memory_max: '4gb',
        output_max: '100mb',
        result: 'none',
    },
};

const STOP_MS = 8000;       // then what has not ended is killed
const RESTART_MS = 1000;
const GOOD_START_MS = 3000; // one that dies sooner is not started again

export class Fleet {
    /* `emp`: the program; `dir`: where everything goes; `path`: PATH of the agents' programs. `say`
     * gets a line for people when a process dies and when it is back. */
    constructor({ emp, dir, path, say }) {
        Object.assign(this, { emp, dir, say });
        this.logs = join(dir, 'logs');
        mkdirSync(this.logs, { recursive: true });
        this.env = { ...process.env, PATH: path };
        for (const name of Object.keys(this.env)) {
            if (name.startsWith('EMP_')) delete this.env[name];
        }
        this.processes = new Map(); // by name
        this.stopping = false;
        this.failed = new Promise((_, reject) => {
            this.fail = reject;
        });
        this.failed.catch(() => {}); // whoever waits for it hears of it
    }

    /* Starts broker and agents; resolves when all are connected. Port 0: any; `models` as in the
     * configuration. */
    async start(port, models) {
        const config = this.write('broker.json', {
            default_pools: false,
            pools: POOLS,
            routing: { link_rate: LINK, pool_quantile: 0.5 }, // among so few jobs one slow run would count too much
            models,
        });
        let address = `127.0.0.1:${port}`;
        const serve = () => ['serve', '--listen', address, '--data', join(this.dir, 'broker'), '--config', config];
        this.url = (await this.launch('broker', serve, /listening on (http:\/\/\S+)/))[1];
        address = this.url.replace('http://', ''); // and there again after a death
        await Promise.all(Object.keys(POOLS).flatMap((pool) => this.startPool(pool)));
    }

    startPool(pool) {
        const config = this.write(`agent-${pool}.json`, {
            agent: {
                pool,
                slots: 1,
                connectors: ['command'],
                models: { disk_budget: DISK_BUDGET[pool], link_max: LINK },
                services: SERVICES,
            },
        });
        return [1, 2].map((n) => {
            const name = `${pool}-${n}`;
            const data = join(this.dir, name);
            mkdirSync(data, { recursive: true });
            writeFileSync(join(data, 'machine-id'), `${name}\n`);
            const broker = this.url.replace('http', 'ws');
            return this.launch(name, () => ['agent', '--broker', broker, '--data', data, '--config', config], /connected/);
        });
    }

    write(name, config) {
        const path = join(this.dir, name);
        writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`);
        return path;
    }

    /* Starts a process and keeps it up; resolves with the match of its first line of standard output
     * that matches `ready`. Standard error goes to its log. */
    launch(name, args, ready) {
        const log = join(this.logs, `${name}.log`);
        const fd = openSync(log, 'a');
        const child = spawn('setpriv', ['--pdeathsig', 'TERM', this.emp, ...args()], {
            env: this.env,
            stdio: ['ignore', 'pipe', fd],
            detached: true,
        });
        closeSync(fd);
        const started = Date.now();
        const process = { name, child, pid: child.pid };
        this.processes.set(name, process);
        process.ended = new Promise((done) => {
            child.once('error', (e) => done(e.message));
            child.once('exit', (code, signal) => done(signal ?? `status ${code}`));
        });
        const up = new Promise((resolve) => {
            createInterface({ input: child.stdout }).on('line', (line) => {
                const match = ready.exec(line);
                if (match) resolve(match);
            });
        });
        const down = process.ended.then((how) => {
            this.processes.delete(name);
            const tail = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-5).join('\n  ');
            throw new Error(`${name} ended (${how})\n  ${tail}`);
        });
        down.catch((e) => this.lost(e, { name, args, ready, started }));
        return Promise.race([up, down]);
    }

    /* A process is gone: if that was not intended, starts it again, unless it never worked. */
    async lost(error, { name, args, ready, started }) {
        if (this.stopping) return;
        if (Date.now() - started < GOOD_START_MS) {
            this.fail(error);
            return;
        }
        this.say(`${error.message.split('\n')[0]}; it is started again`);
        await new Promise((done) => setTimeout(done, RESTART_MS));
        if (this.stopping) return;
        await this.launch(name, args, ready).then(() => this.say(`${name} is back`), () => {});
    }

    /* Ends the agents, then the broker, in an orderly way; kills what does not end in time. */
    async stop() {
        this.stopping = true;
        const all = [...this.processes.values()];
        const timer = setTimeout(() => this.kill(), STOP_MS);
        for (const group of [all.filter((p) => p.name !== 'broker'), all]) {
            for (const p of group) p.child.kill('SIGTERM');
            await Promise.all(group.map((p) => p.ended));
        }
        clearTimeout(timer);
    }

    kill() {
        for (const p of this.processes.values()) p.child.kill('SIGKILL');
    }
}
