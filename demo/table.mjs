// The live table of the demo: redrawn in place on a terminal, a line per finished job elsewhere.

export const seconds = (s) => `${s.toFixed(1)} s`;
export const megabytes = (b) => `${(b / 1e6).toFixed(1)} MB`;

const HEAD = ['job', 'status', 'pool', 'machine', 'waited', 'ran', 'models'];
const WIDTH = [24, 12, 10, 12, 8, 8, 18];
const line = (cells) => cells.map((c, i) => String(c).padEnd(WIDTH[i]).slice(0, WIDTH[i])).join(' ').trimEnd();
const between = (a, b) => (a && b ? seconds(Math.max(0, (Date.parse(b) - Date.parse(a)) / 1000)) : '');

function cells(job) {
  const s = job.seen;
  const last = s?.attempts?.at(-1) ?? {};
  const fetched = (s?.attempts ?? []).reduce((sum, a) => sum + (a.bytes_fetched ?? 0), 0);
  let models = '';
  if (job.request.models && last.started_at) models = fetched ? `fetched ${megabytes(fetched)}` : 'found';
  return [job.title, s?.status ?? 'submitted', last.pool ?? '', last.machine_id ?? '', between(s?.created_at, last.started_at),
    between(last.started_at, last.ended_at), models];
}

export class Table {
  constructor(count) {
    this.live = process.stdout.isTTY && (process.stdout.rows ?? 0) > count + 4;
    this.jobs = new Map();
    this.drawn = 0;
    if (!this.live) console.log(`\n${line(HEAD)}`);
  }

  update(job) {
    const before = this.jobs.get(job);
    this.jobs.set(job, job.seen.status);
    if (this.live) this.draw();
    else if (before !== job.seen.status &&
      ['completed', 'failed', 'cancelled'].includes(job.seen.status)) console.log(line(cells(job)));
  }

  draw() {
    const lines = [line(HEAD), ...[...this.jobs.keys()].map((j) => line(cells(j)))];
    if (this.drawn) process.stdout.write(`\x1b[${this.drawn}A`);
    process.stdout.write(lines.map((l) => `\x1b[2K${l}\n`).join(''));
    this.drawn = lines.length;
  }

  end() {
    if (this.live) this.draw();
  }
}
