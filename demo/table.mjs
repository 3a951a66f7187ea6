/* The live table: jobs that have ended stay as lines; below them, on a terminal, those on machines are
 * redrawn in place. Elsewhere there are the lines alone. */
const COLUMNS = [
    ['job', 20], ['status', 17], ['pool', 10], ['machine', 12], ['waited', 8], ['ran', 8], ['models', 16],
];

export const seconds = (s) => `${s.toFixed(1)} s`;
export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

function line(cells) {
    return cells.map((c, i) => String(c ?? '').slice(0, COLUMNS[i][1]).padEnd(COLUMNS[i][1])).join(' ').trimEnd();
}

function status(job) {
    if (job.status === 'in_progress' && job.progress > 0) return `in_progress ${Math.floor(job.progress)} %`;
    return job.status;
}

function models(job) {
    if (!job.wantsModels || job.waited === null) return '';
    return job.fetched > 0 ? `fetched ${megabytes(job.fetched)}` : 'found';
}

function cells(job) {
    return [job.title, status(job), job.pool, job.machine, job.waited === null ? '' : seconds(job.waited),
        job.ran === null ? '' : seconds(job.ran), models(job)];
}

export class Table {
    constructor(out = process.stdout) {
        this.out = out;
        this.live = out.isTTY === true;
        this.drawn = 0; // lines of the live part on the screen
        this.out.write(`\n${line(COLUMNS.map(([name]) => name))}\n`);
    }

    erase() {
        if (this.drawn) this.out.write(`\x1b[${this.drawn}A\x1b[J`);
        this.drawn = 0;
    }

    /* Jobs that ended since the last call, those on machines now, how many still wait. */
    show(ended, running, waiting) {
        const lasting = ended.map((j) => `${line(cells(j))}\n`).join('');
        if (!this.live) {
            this.out.write(lasting);
            return;
        }
        const width = Math.max((this.out.columns ?? 80) - 1, 20);
        const lines = running.map((j) => line(cells(j)));
        if (waiting) lines.push(`${waiting} more ${waiting === 1 ? 'waits' : 'wait'}`);
        this.erase();
        this.out.write(lasting + lines.map((l) => `\x1b[2m${l.slice(0, width)}\x1b[0m\n`).join(''));
        this.drawn = lines.length;
    }
}
