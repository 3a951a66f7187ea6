/* Reads the part of YAML that docs/openapi.yaml is written in: block maps and lists, flow maps and lists, plain and double-quoted
 * scalars, folded text (">-"), comments. Anything else is an error that names the line, never a guess. */

class Fault extends Error {
    constructor(line, text) {
        super(`line ${line}: ${text}`);
    }
}

function scalar(text) {
    if (text === 'null' || text === '~') return null;
    if (text === 'true' || text === 'false') return text === 'true';
    if (/^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/.test(text)) return Number(text);
    return text;
}

/* One value in flow style, from `at` on. */
class Flow {
    constructor(text, line) {
        Object.assign(this, { text, line, at: 0 });
    }
    fail(what) {
        throw new Fault(this.line, `${what} at column ${this.at + 1} of ${this.text}`);
    }
    space() {
        while (this.text[this.at] === ' ') this.at++;
        if (this.text[this.at] === '#' && this.text[this.at - 1] === ' ') this.at = this.text.length;
    }
    quoted() {
        const m = /^"(?:[^"\\]|\\.)*"/.exec(this.text.slice(this.at));
        if (!m) this.fail('a text without an end');
        this.at += m[0].length;
        return JSON.parse(m[0]);
    }
    plain(stop) {
        const start = this.at;
        while (this.at < this.text.length && !stop(this.text, this.at)) this.at++;
        return this.text.slice(start, this.at).trim();
    }
    value(inside) {
        this.space();
        const c = this.text[this.at];
        if (c === '{') return this.map();
        if (c === '[') return this.list();
        if (c === '"') return this.quoted();
        if (c === undefined || '&*!|>%@`\''.includes(c)) this.fail('this kind of value is not read');
        return scalar(this.plain((t, i) => (inside && ',]}'.includes(t[i])) || (t[i] === '#' && t[i - 1] === ' ')));
    }
    list() {
        const all = [];
        for (this.at++; ; ) {
            this.space();
            if (this.text[this.at] === ']') break;
            all.push(this.value(true));
            this.space();
            if (this.text[this.at] === ',') this.at++;
            else if (this.text[this.at] !== ']') this.fail('"," or "]" is missing');
        }
        this.at++;
        return all;
    }
    map() {
        const all = {};
        for (this.at++; ; ) {
            this.space();
            if (this.text[this.at] === '}') break;
            const key = this.text[this.at] === '"' ? this.quoted() : this.plain((t, i) => t[i] === ':' || ',}'.includes(t[i]));
            if (this.text[this.at] !== ':') this.fail(`":" is missing after ${key}`);
            this.at++;
            if (key in all) this.fail(`${key} stands twice`);
            all[key] = this.value(true);
            this.space();
            if (this.text[this.at] === ',') this.at++;
            else if (this.text[this.at] !== '}') this.fail('"," or "}" is missing');
        }
        this.at++;
        return all;
    }
    whole() {
        const v = this.value(false);
        this.space();
        if (this.at < this.text.length) this.fail('more than one value');
        return v;
    }
}

export function readYaml(text) {
    const lines = text
        .split('\n')
        .map((raw, i) => ({ number: i + 1, indent: raw.search(/\S/), text: raw.trim() }))
        .filter((l) => l.text !== '' && !l.text.startsWith('#'));
    for (const l of lines) if (l.text.includes('\t')) throw new Fault(l.number, 'a tab');
    let at = 0;

    const KEY = /^("(?:[^"\\]|\\.)*"|[^"\s{[#&*!|>%@][^:]*?):(?: +(.*))?$/;
    const here = (indent) => at < lines.length && lines[at].indent === indent;

    function folded(indent) {
        const parts = [];
        while (at < lines.length && lines[at].indent > indent) parts.push(lines[at++].text);
        return parts.join(' ');
    }
    function block(indent) {
        if (at >= lines.length || lines[at].indent < indent) return null;
        return /^-( |$)/.test(lines[at].text) ? list(lines[at].indent) : map(lines[at].indent);
    }
    function list(indent) {
        const all = [];
        while (here(indent) && /^-( |$)/.test(lines[at].text)) {
            const l = lines[at];
            const rest = l.text.slice(1).trim();
            if (rest === '') {
                at++;
                all.push(block(indent + 1));
            } else if (KEY.test(rest) && !/^[{["]/.test(rest)) {
                lines[at] = { ...l, indent: indent + l.text.indexOf(rest), text: rest };
                all.push(map(lines[at].indent));
            } else {
                at++;
                all.push(new Flow(rest, l.number).whole());
            }
        }
        return all;
    }
    function map(indent) {
        const all = {};
        while (here(indent)) {
            const l = lines[at];
            const m = KEY.exec(l.text);
            if (!m) throw new Fault(l.number, `neither "key: value" nor "- element": ${l.text}`);
            const key = m[1].startsWith('"') ? JSON.parse(m[1]) : m[1];
            if (Object.hasOwn(all, key)) throw new Fault(l.number, `${key} stands twice`);
            at++;
            if (m[2] === '>-') all[key] = folded(indent);
            else if (m[2] === undefined || m[2].startsWith('#')) all[key] = block(indent + 1);
            else all[key] = new Flow(m[2], l.number).whole();
        }
        if (at < lines.length && lines[at].indent > indent) throw new Fault(lines[at].number, 'indented too far');
        return all;
    }
    const root = block(0);
    if (at < lines.length) throw new Fault(lines[at].number, 'what is this?');
    return root;
}
