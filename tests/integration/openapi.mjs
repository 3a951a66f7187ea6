/* docs/openapi.yaml as something to hold answers against: which operation a request belongs to, and whether an answer is what is
 * promised there. The part of JSON Schema that the file uses, and no other: an unknown keyword is an error, so that nothing is
 * silently unchecked. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readYaml } from './yaml.mjs';

const file = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../docs/openapi.yaml');
export const document = readYaml(readFileSync(file, 'utf8'));

export function resolve(node) {
    for (let n = 0; node?.$ref; n++) {
        if (n > 20) throw new Error(`a circle of references at ${node.$ref}`);
        let to = document;
        for (const part of node.$ref.slice(2).split('/')) to = to?.[part];
        if (!to) throw new Error(`${node.$ref} is not there`);
        node = to;
    }
    return node;
}

/* ---------------------------------------------------------------- values against schemas */

const typeOf = (v) => (v === null ? 'null' : Array.isArray(v) ? 'array' : typeof v);
const COMMENTS = new Set(['description', 'default', 'summary', 'example']);
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const keywords = {
    type(v, want) {
        const is = typeOf(v);
        if (want === 'integer') return Number.isInteger(v) ? [] : [`is ${JSON.stringify(v)}, not an integer`];
        return is === want ? [] : [`is ${is} (${String(JSON.stringify(v)).slice(0, 80)}), not ${want}`];
    },
    nullable: () => [],
    enum: (v, all) => (all.includes(v) ? [] : [`is ${JSON.stringify(v)}, not one of ${all.join(', ')}`]),
    pattern: (v, p) => (typeof v !== 'string' || new RegExp(p, 'u').test(v) ? [] : [`"${v}" does not match ${p}`]),
    format(v, f) {
        if (f === 'date-time') return typeof v !== 'string' || (ISO.test(v) && !Number.isNaN(Date.parse(v))) ? [] : [`"${v}" is no time`];
        if (f === 'binary') return [];
        throw new Error(`format ${f} is not known`);
    },
    minimum: (v, n) => (typeof v !== 'number' || v >= n ? [] : [`${v} is below ${n}`]),
    maximum: (v, n) => (typeof v !== 'number' || v <= n ? [] : [`${v} is above ${n}`]),
    minLength: (v, n) => (typeof v !== 'string' || v.length >= n ? [] : [`"${v}" is shorter than ${n}`]),
    maxLength: (v, n) => (typeof v !== 'string' || v.length <= n ? [] : [`is longer than ${n}`]),
    minItems: (v, n) => (!Array.isArray(v) || v.length >= n ? [] : [`has fewer than ${n} elements`]),
    maxItems: (v, n) => (!Array.isArray(v) || v.length <= n ? [] : [`has more than ${n} elements`]),
    required: (v, names) => (typeOf(v) !== 'object' ? [] : names.filter((n) => !Object.hasOwn(v, n)).map((n) => `.${n} is missing`)),
    properties: (v, all) =>
        typeOf(v) !== 'object' ? [] : Object.keys(v).flatMap((n) => (Object.hasOwn(all, n) ? faults(v[n], all[n]).map((f) => `.${n}${f}`) : [])),
    additionalProperties: (v, allowed, schema) =>
        typeOf(v) !== 'object' || allowed ? [] : Object.keys(v).filter((n) => !Object.hasOwn(schema.properties, n)).map((n) => `.${n} is not described`),
    items: (v, schema) => (Array.isArray(v) ? v.flatMap((e, i) => faults(e, schema).map((f) => `[${i}]${f}`)) : []),
    allOf: (v, all) => all.flatMap((s) => faults(v, s)),
    oneOf(v, all) {
        const each = all.map((s) => faults(v, s));
        const fits = each.filter((f) => f.length === 0).length;
        return fits === 1 ? [] : [` fits ${fits} of ${all.length} alternatives: ${each.map((f) => f[0]).join(' | ')}`];
    },
};

/* What is wrong with the value, as texts that begin with its place; empty: nothing. */
export function faults(value, node) {
    const schema = resolve(node);
    if (value === null && schema.nullable) return [];
    return Object.entries(schema).flatMap(([word, argument]) => {
        if (COMMENTS.has(word)) return [];
        if (!keywords[word]) throw new Error(`the schema word "${word}" is not known to this checker`);
        return keywords[word](value, argument, schema).map((f) => (/^[.[ ]/.test(f) ? f : ` ${f}`));
    });
}

export const schema = (name) => ({ $ref: `#/components/schemas/${name}` });

/* ---------------------------------------------------------------- requests and their answers */

/* A template as a pattern; a last {name} takes slashes too: artifact names have them. */
function patternOf(template) {
    const parts = template.split('/').slice(1);
    const source = parts.map((p, i) => (p.startsWith('{') ? (i === parts.length - 1 && template.startsWith('/api/artifacts/') ? '.+' : '[^/]+') : p));
    return new RegExp(`^/${source.join('/')}$`);
}

const METHODS = ['get', 'post', 'put', 'delete'];
export const operations = Object.entries(document.paths).flatMap(([template, item]) =>
    METHODS.filter((m) => item[m]).map((m) => ({ method: m.toUpperCase(), template, pattern: patternOf(template), ...item[m] })),
);

/* The operation of a request; literal paths before those with parameters. */
export function operationOf(method, target) {
    const where = target.split(/[?#]/)[0];
    const wanted = method === 'HEAD' ? 'GET' : method;
    const fits = operations.filter((o) => o.method === wanted && o.pattern.test(where));
    return fits.sort((a, b) => a.template.split('{').length - b.template.split('{').length)[0];
}

/* Which answers have been seen: "operationId status", for the question what no test has ever provoked. */
export const seen = new Set();

/* Texts that say how an answer breaks the promise; empty: it keeps it. */
export function answerFaults(method, target, answer) {
    const operation = operationOf(method, target);
    const general = { content: { 'application/json': { schema: schema('Error') } } };
    let promised = general;
    if (method === 'OPTIONS') return answer.status === 200 ? [] : [`OPTIONS answered ${answer.status}`];
    if (operation) {
        seen.add(`${operation.operationId} ${answer.status}`);
        promised = resolve(operation.responses[String(answer.status)] ?? operation.responses.default);
        if (!promised) return [`status ${answer.status} is not described for ${operation.operationId}`];
    } else if (answer.status < 400) {
        return [`there is no such path, and it answered ${answer.status}`];
    }
    const wrong = [];
    if ((answer.status === 503 || answer.status === 507) && !/^\d+$/.test(answer.headers['retry-after'] ?? '')) wrong.push('Retry-After is missing');
    if (method === 'HEAD' || !promised.content) return wrong;
    const type = (answer.headers['content-type'] ?? '').split(';')[0];
    const content = promised.content[type] ?? promised.content['*/*'];
    if (!content) return [...wrong, `content type "${type}" is not described`];
    if (type !== 'application/json' || promised.content['*/*']) return wrong;
    if (answer.body === undefined) return [...wrong, `no JSON: ${answer.text.slice(0, 200)}`];
    return [...wrong, ...faults(answer.body, content.schema)];
}
