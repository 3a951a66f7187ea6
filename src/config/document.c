/* docs/configuration.md from the table: one Markdown table per group of keys. */
#include "config/config.h"
#include "config/keys.h"

static const char introduction[] =
    "# Configuration\n"
    "\n"
    "Written by `emp config --doc` from the table in `src/config/keys.def`; a test holds this file "
    "against it.\n"
    "\n"
    "`emp serve --config FILE` and `emp agent --config FILE` read YAML (JSON is a subset of it). "
    "One file may hold the broker's keys and,\n"
    "under `agent:`, the agent's. No key is needed: `emp serve` and `emp agent` work together with "
    "none. A value is decided by the\n"
    "last of: default, file, environment, command line. An unknown key, a key that stands twice, a "
    "wrong type or a value out of range is an\n"
    "error that names file, line and key; nothing starts then.\n"
    "\n"
    "* `emp config --check FILE` names every fault of a file.\n"
    "* `emp config --dump [FILE]` prints the effective values and where each came from; secrets "
    "appear as `***`.\n"
    "\n"
    "Dots in a key are nesting: `http.body_max` is `body_max` under `http:`.\n"
    "\n"
    "| type | written as |\n"
    "|---|---|\n"
    "| duration | `500ms` `10s` `5m` `24h` `7d`; a unit is wanted |\n"
    "| bytes | `20gb` `1.5tb` `512mb` `64kb`, decimal; `kib` `mib` `gib` `tib`, binary; a bare "
    "number is bytes |\n"
    "| bytes per second | as bytes, with `/s`: `25mb/s` |\n"
    "| name | text of at most 256 bytes without control characters |\n"
    "| list | `[a, b]`, or one element alone |\n"
    "\n";

static const char example[] =
    "## Example\n"
    "\n"
    "```yaml\n"
    "listen: 127.0.0.1:3331\n"
    "data: /var/lib/emp\n"
    "retention:\n"
    "  jobs: 7d\n"
    "pools:\n"
    "  fast-lane: {run_max: 20s}          # a default pool, changed in one key\n"
    "  photo:                             # a pool of one's own\n"
    "    parent: standard\n"
    "    specialty: photography\n"
    "    run_min: 20s\n"
    "    run_max: 3m\n"
    "    disk_min: 80gb\n"
    "    disk_max: 120gb\n"
    "models:\n"
    "  - name: ae.safetensors\n"
    "    kind: vae\n"
    "    bytes: 335304388\n"
    "    urls: [https://models.example/ae.safetensors]\n"
    "    path: vae/ae.safetensors\n"
    "agent:\n"
    "  broker: wss://broker.example\n"
    "  pool: photo\n"
    "  slots: 2\n"
    "  models:\n"
    "    disk_budget: 100gb\n"
    "  capabilities:\n"
    "    hardware: {gpu_memory_gb: 24}\n"
    "  services:\n"
    "    identify:\n"
    "      argv: [identify, -verbose, \"{input.image.png}\"]\n"
    "      timeout: 30s\n"
    "```\n";

static void add_default(const struct emp_key *k, const void *record, struct emp_buf *out)
{
    if (k->flags & EMP_KEY_REQUIRED) {
        emp_buf_addz(out, "needed");
        return;
    }
    struct emp_buf text;
    emp_buf_init(&text, 4096);
    emp_value_format(k, record, &text);
    bool empty = text.len == 0 || strcmp(text.data, "\"\"") == 0 || strcmp(text.data, "[]") == 0;
    if (!empty && text.data[0] == '"') /* quotes are YAML's business */
        emp_buf_printf(out, "`%.*s`", (int)(text.len - 2), text.data + 1);
    else if (!empty)
        emp_buf_printf(out, "`%s`", text.data);
    emp_buf_release(&text);
}

/* '|' parts the columns of a table, unless escaped. */
static void add_cell(const char *text, struct emp_buf *out)
{
    for (; *text; text++)
        emp_buf_printf(out, *text == '|' ? "\\%c" : "%c", *text);
}

static void add_row(const struct emp_key *k, const void *record, struct emp_buf *out)
{
    struct emp_buf range;
    emp_buf_init(&range, 4096);
    emp_buf_printf(out, "| `%s` | %s | ", k->name, emp_key_type_word(k->type));
    add_default(k, record, out);
    emp_buf_addz(out, " | ");
    emp_key_range_format(k, &range);
    add_cell(range.data ? range.data : "", out);
    emp_buf_release(&range);
    emp_buf_addz(out, " | ");
    add_cell(k->meaning, out);
    if (k->env)
        emp_buf_printf(out, " Environment: `%s`.", k->env);
    emp_buf_addz(out, " |\n");
}

static void add_table(const struct emp_section_info *s, uint32_t first, uint32_t end,
                      const void *record, struct emp_buf *out)
{
    emp_buf_addz(out, "| key | type | default | range | meaning |\n|---|---|---|---|---|\n");
    for (uint32_t i = first; i < end; i++)
        add_row(&s->keys[i], record, out);
    emp_buf_addz(out, "\n");
}

/* The plain keys fall into two: those of the agent begin with "agent.". */
static uint32_t first_agent_key(const struct emp_section_info *s)
{
    uint32_t i = 0;
    while (i < s->key_count && strncmp(s->keys[i].name, "agent.", 6) != 0)
        i++;
    return i;
}

static void add_record_section(enum emp_section section, const char *title, const char *text,
                               struct emp_buf *out)
{
    const struct emp_section_info *s = emp_section(section);
    struct emp_arena arena;
    emp_arena_init(&arena, 0);
    void *record = emp_arena_alloc(&arena, s->record_size);
    emp_value_defaults(s, record, &arena);
    emp_buf_printf(out, "## %s\n\n%s\n\n", title, text);
    add_table(s, 0, s->key_count, record, out);
    emp_arena_release(&arena);
}

static void add_default_pools(const struct emp_config *c, struct emp_buf *out)
{
    const struct emp_section_info *s = emp_section(EMP_SECTION_POOL);
    emp_buf_addz(out, "The default pools:\n\n| key |");
    for (uint32_t p = 0; p < c->settings.pool_count; p++)
        emp_buf_printf(out, " `%.*s` |", EMP_STR_FMT(c->settings.pools[p].name));
    emp_buf_addz(out, "\n|---|");
    for (uint32_t p = 0; p < c->settings.pool_count; p++)
        emp_buf_addz(out, "---|");
    for (uint32_t k = 0; k < s->key_count; k++) {
        emp_buf_printf(out, "\n| `%s` |", s->keys[k].name);
        for (uint32_t p = 0; p < c->settings.pool_count; p++) {
            emp_buf_addz(out, " ");
            add_default(&s->keys[k], &c->settings.pools[p], out);
            emp_buf_addz(out, " |");
        }
    }
    emp_buf_addz(out, "\n\n");
}

void emp_config_document(struct emp_buf *out)
{
    const struct emp_section_info *plain = emp_section(EMP_SECTION_PLAIN);
    uint32_t split = first_agent_key(plain);
    struct emp_config c;
    emp_config_init(&c);
    emp_buf_addz(out, introduction);
    emp_buf_addz(out, "## Broker\n\n");
    add_table(plain, 0, split, &c, out);
    emp_buf_addz(out, "## Agent\n\n");
    add_table(plain, split, plain->key_count, &c, out);
    add_record_section(EMP_SECTION_POOL, "Pools: `pools.NAME`",
                       "A pool of a name that exists already is changed in the keys given. A new "
                       "one starts from these defaults:",
                       out);
    add_default_pools(&c, out);
    add_record_section(EMP_SECTION_MODEL, "Models: elements of `models`",
                       "Files that jobs need on a machine's disk.", out);
    add_record_section(EMP_SECTION_SERVICE, "Services: `agent.services.NAME`",
                       "Programs that the `command` connector runs.", out);
    emp_buf_addz(out, example);
    emp_config_release(&c);
}
