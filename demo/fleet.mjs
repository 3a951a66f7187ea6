// The demo's processes: one broker and six agents in three pools, each with its own data directory and a small disk budget.
import { spawn } from 'node:child_process';
import { mkdirSync, openSync, closeSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Limits scaled to the demo's short jobs; everything else is as in production. */
export const POOLS = {
  'fast-lane': { run_min: '0s', run_max: '500ms', penalty: '20s' },
  standard: { run_min: '500ms', run_max: '5s', penalty: '20s' },
  heavy: { run_min: '5s', run_max: 'never', penalty: '20s' },
};

/** What an agent of each pool may hold of models: less than all of them, so that something has to go. */
const DISK_BUDGET = { 'fast-lane': 2_000_000, standard: 4_400_000, heavy: 2_000_000 };

/** The services of the command connector: real programs, an argv each, never a shell. */
export const SERVICES = {
  image: {
    argv: ['convert', '{input.picture.png}', '-resize', '{payload.size}', '-modulate', '{payload.modulate}', '{output.result.png}'],
    env: ['OMP_NUM_THREADS=1'],
    timeout: '30s',
    memory_max: '2gb',
    output_max: '20mb',
    result: 'none',
  },
  ocr: {
    argv: ['tesseract', '{input.page.png}', 'stdout', '--tessdata-dir', '{model_dir}/tessdata', '-l', '{payload.language}'],
    env: ['OMP_THREAD_LIMIT=1'],
    timeout: '60s',
    memory_max: '2gb',
    output_max: '1mb',
    result: 'stdout',
  },
  transcode: {
    argv: ['ffmpeg', '-nostdin', '-loglevel', 'error', '-i', '{input.clip.mp4}', '-vf', 'scale={payload.width}:-2',
      '-c:v', 'libx264', '-preset', 'veryslow', '-threads', '1', '-progress', 'pipe:1', '{output.clip.mp4}'],
    env: [],
    timeout: '300s',
    memory_max: '4gb',
    output_max: '100mb',
    result: 'none',
  },
};

const children = new Set();

/** Starts a process whose stderr goes to a log file; resolves at the first stdout line that matches `ready`. */
function start(name, command, args, env, logDir, ready) {
  const log = join(logDir, `${name}.log`);
  const fd = openSync(log, 'a');
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', fd] });
  closeSync(fd);
  children.add(child);
  child.once('exit', () => children.delete(child));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      const tail = readFileSync(log, 'utf8').split('\n').slice(-6).join('\n');
      reject(new Error(`${name} ended (${signal ?? code}):\n${tail}`));
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      const m = ready.exec(line);
      if (m) resolve({ child, match: m });
    });
  });
}

/** Ends every child in an orderly way; kills what is left after five seconds. */
export async function stopAll() {
  const ends = [...children].map((c) => new Promise((r) => c.once('exit', r)));
  for (const c of children) c.kill('SIGTERM');
  const timer = setTimeout(() => children.forEach((c) => c.kill('SIGKILL')), 5000);
  await Promise.all(ends);
  clearTimeout(timer);
}

function writeConfig(dir, name, config) {
  const path = join(dir, name);
  writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`); // JSON is YAML
  return path;
}

/** Broker and agents; resolves to { broker: URL, agents } when all are connected. `models` as in the configuration. */
export async function startFleet(emp, dir, port, models) {
  const env = { ...process.env };
  delete env.EMP_API_KEY;
  delete env.EMP_AGENT_TOKEN;
  mkdirSync(join(dir, 'logs'), { recursive: true });
  const config = writeConfig(dir, 'broker.yaml', { pools: POOLS, models });
  const { match } = await start('broker', emp,
    ['serve', '--listen', `127.0.0.1:${port}`, '--data', join(dir, 'broker'), '--config', config],
    env, join(dir, 'logs'), /listening on (http:\S+)/);
  const broker = match[1];
  const agents = [];
  for (const pool of Object.keys(POOLS)) {
    const agentConfig = writeConfig(dir, `agent-${pool}.yaml`,
      { agent: { services: SERVICES, models: { disk_budget: DISK_BUDGET[pool] } } });
    for (const n of [1, 2]) {
      const name = `${pool}-${n}`;
      const data = join(dir, name);
      mkdirSync(data, { recursive: true });
      writeFileSync(join(data, 'machine-id'), `${name}\n`);
      agents.push(start(name, emp,
        ['agent', '--broker', broker.replace('http', 'ws'), '--data', data, '--pool', pool, '--slots', '1', '--connector', 'command',
          '--config', agentConfig],
        env, join(dir, 'logs'), /connected/));
    }
  }
  await Promise.all(agents);
  return { broker };
}
