#include "config/config.h"

#include "check.h"

static void defaults_are_those_of_the_brains(void **state)
{
    struct emp_config c;
    const struct emp_settings *d = emp_settings_default();
    (void)state;
    emp_config_init(&c);
    assert_int_equal(emp_config_check(&c, NULL), 0);
    assert_int_equal(c.settings.pool_count, d->pool_count);
    assert_true(c.settings.routing.pool_quantile == d->routing.pool_quantile);
    assert_str(c.broker.listen, "127.0.0.1:3331");
    assert_str(c.agent.broker, "ws://127.0.0.1:3331");
    assert_int_equal(c.broker.body_bytes_max, 10000000);
    assert_int_equal(c.broker.batch_bytes_max, 64000000);
    assert_int_equal(c.agent.drain_timeout_ms, EMP_NEVER);
    emp_config_release(&c);
}

static void an_empty_file_says_nothing(void **state)
{
    static const char *const texts[] = {
        "", "\n", "# nothing\n", "---\n", "~", "{}", "pools:\nmodels:\nhttp:\n"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct emp_config c;
        read_good(&c, texts[i]);
        assert_int_equal(c.settings.pool_count, 3);
        assert_int_equal(c.fault_count, 0);
        emp_config_release(&c);
    }
}

static void reads_every_type(void **state)
{
    struct emp_config c;
    (void)state;
    read_good(&c, "listen: 127.0.0.1:0\n"
                  "log: {level: debug}\n"
                  "http.threads: 3\n" /* a dotted key is the same as a nested one */
                  "http:\n"
                  "  body_max: 5mb\n"
                  "  cors_origins: [https://a.example, \"https://b.example\"]\n"
                  "auth:\n"
                  "  api_keys: only-one\n"
                  "retention: {jobs: never}\n"
                  "routing: {pool_quantile: 0.95, link_rate: 40mb/s}\n"
                  "retry: {base: 250ms, max_retries: 5}\n"
                  "agent: {slots: 2, drain: yes, customers: {isolation: strict, allowed: [7]}}\n");
    assert_str(c.broker.listen, "127.0.0.1:0");
    assert_int_equal(c.log_level, EMP_LOG_CHOICE_DEBUG);
    assert_int_equal(c.broker.http_threads, 3);
    assert_int_equal(c.broker.body_bytes_max, 5000000);
    assert_int_equal(c.broker.cors_count, 2);
    assert_str(c.broker.cors_origins[1], "https://b.example");
    assert_int_equal(c.broker.api_key_count, 1);
    assert_str(c.broker.api_keys[0], "only-one");
    assert_int_equal(c.broker.retention_ms, EMP_NEVER);
    assert_true(c.settings.routing.pool_quantile == 0.95);
    assert_int_equal(c.settings.routing.link_bytes_per_s, 40000000);
    assert_int_equal(c.settings.retry.base_ms, 250);
    assert_int_equal(c.settings.retry.max_retries, 5);
    assert_int_equal(c.agent.slots, 2);
    assert_true(c.agent.drain);
    assert_int_equal(c.agent.isolation, EMP_ISOLATION_STRICT);
    assert_str(c.agent.allowed_customers[0], "7");
    emp_config_release(&c);
}

static void json_is_yaml(void **state)
{
    struct emp_config c;
    (void)state;
    read_good(&c, "{\"listen\":\"127.0.0.1:9\",\"pools\":{\"heavy\":{\"run_min\":\"5m\"}},"
                  "\"agent\":{\"slots\":4}}");
    assert_str(c.broker.listen, "127.0.0.1:9");
    assert_int_equal(c.agent.slots, 4);
    emp_config_release(&c);
}

static void pools_are_merged_by_name(void **state)
{
    struct emp_config c;
    (void)state;
    read_good(&c, "pools:\n"
                  "  heavy: {disk_max: 1.5tb}\n"
                  "  photo: {parent: standard, specialty: photography, run_min: 30s, run_max: 3m,\n"
                  "          services: [image], compliance: [gdpr, soc2], evict_lean: -0.5}\n");
    assert_int_equal(c.settings.pool_count, 4);
    assert_str(c.settings.pools[2].name, "heavy");
    assert_int_equal(c.settings.pools[2].disk_bytes_max, 1500000000000);
    assert_int_equal(c.settings.pools[2].disk_bytes_min,
                     emp_settings_default()->pools[2].disk_bytes_min);
    const struct emp_pool *photo = &c.settings.pools[3];
    assert_str(photo->name, "photo");
    assert_str(photo->parent, "standard");
    assert_int_equal(photo->run_ms_max, 180000);
    assert_int_equal(photo->service_count, 1);
    assert_str(photo->compliance[1], "soc2");
    assert_true(photo->evict_small_lean == -0.5);
    emp_config_release(&c);
}

static void default_pools_can_be_left_out(void **state)
{
    struct emp_config c;
    (void)state;
    read_good(&c, "pools: {only: {run_max: 1m}}\ndefault_pools: false\n"); /* in either order */
    assert_int_equal(c.settings.pool_count, 1);
    assert_str(c.settings.pools[0].name, "only");
    emp_config_release(&c);
    assert_fault("default_pools: false\n", "there is none");
}

static void reads_the_catalogue(void **state)
{
    struct emp_config c;
    (void)state;
    read_good(
        &c,
        "models:\n"
        "  - name: vae/ae.safetensors\n"
        "    bytes: 335304388\n"
        "    sha256: AFC8E28272CD15DB3919BACDB6918CE9C1ED22E96CB12C4D5ED0FBA823529E38\n"
        "    urls: [http://a.example/ae, https://b.example/ae]\n"
        "    pinned: true\n"
        "  - {name: eng, kind: ocr, bytes: 4mb, path: tessdata/eng.traineddata, owner: acme}\n");
    assert_int_equal(c.model_count, 2);
    assert_str(c.models[0].path, "vae/ae.safetensors");
    assert_int_equal(c.models[0].url_count, 2);
    assert_string_equal(c.models[0].sha256,
                        "afc8e28272cd15db3919bacdb6918ce9c1ed22e96cb12c4d5ed0fba823529e38");
    assert_true(c.models[0].pinned);
    assert_str(c.models[1].path, "tessdata/eng.traineddata");
    assert_int_equal(c.models[1].bytes, 4000000);
    emp_config_release(&c);
}

static void reads_services_and_capabilities(void **state)
{
    struct emp_config c;
    (void)state;
    read_good(&c, "agent:\n"
                  "  services:\n"
                  "    ocr: {argv: [tesseract, \"{input.image}\", stdout], env: [LC_ALL=C], "
                  "timeout: 10s, result: none}\n"
                  "  capabilities:\n"
                  "    hardware: {gpu_memory_gb: 24, fast: true, name: \"7\"}\n"
                  "    tags: [a, 2]\n");
    assert_int_equal(c.agent.service_count, 1);
    assert_str(c.agent.services[0].name, "ocr");
    assert_int_equal(c.agent.services[0].argv_count, 3);
    assert_int_equal(c.agent.services[0].timeout_ms, 10000);
    assert_int_equal(c.agent.services[0].result, EMP_RESULT_CHOICE_NONE);
    assert_int_equal(c.agent.services[0].output_bytes_max, 1000000000);
    assert_int_equal(c.agent.cap_count, 5);
    assert_str(c.agent.caps[0].path, "hardware.gpu_memory_gb");
    assert_int_equal(c.agent.caps[0].kind, EMP_CAPABILITY_NUMBER);
    assert_int_equal(c.agent.caps[1].kind, EMP_CAPABILITY_BOOL);
    assert_int_equal(c.agent.caps[2].kind, EMP_CAPABILITY_TEXT); /* quoted: a text */
    assert_true(c.agent.caps[4].in_array && c.agent.caps[4].number == 2);
    emp_config_release(&c);
}

static void unknown_keys_name_the_nearest(void **state)
{
    (void)state;
    assert_fault("lisen: x\n", "emp.yaml:1: lisen: unknown key; did you mean \"listen\"?");
    assert_fault("a: 1\nrouting:\n  pool_quantil: 0.5\n",
                 "emp.yaml:1: a: unknown key; `emp config --doc`");
    assert_fault(
        "routing:\n  pool_quantil: 0.5\n",
        "emp.yaml:2: routing.pool_quantil: unknown key; did you mean \"routing.pool_quantile\"?");
    assert_fault("routng:\n  pool_quantile: 0.5\n", "did you mean \"routing\"?");
    assert_fault(
        "pools:\n  heavy:\n    run_mx: 5m\n",
        "emp.yaml:3: pools.heavy.run_mx: unknown key; did you mean \"pools.heavy.run_max\"?");
    assert_fault("models: [{name: a, bytes: 1, ulrs: []}]\n", "did you mean \"models[1].urls\"?");
    assert_fault("body_max: 5mb\n", "did you mean \"http.body_max\"?"); /* in the wrong place */
    assert_fault("<<: {listen: a}\n", "unknown key");
}

static void wrong_values_say_what_is_allowed(void **state)
{
    (void)state;
    assert_fault("http: {threads: many}\n",
                 "emp.yaml:1: http.threads: \"many\" is not a whole number");
    assert_fault("http: {threads: 257}\n", "257 is out of range: 0 to 256");
    assert_fault("http: {threads: -1}\n", "-1 is out of range");
    assert_fault("http: {threads: 99999999999999999999}\n", "is not a whole number");
    assert_fault("routing: {pool_quantile: nan}\n", "is not a number");
    assert_fault("routing: {pool_quantile: 1}\n", "1 is out of range: 0.01 to 0.99");
    assert_fault("retry: {base: 5}\n", "\"5\" is not a duration such as");
    assert_fault("retry: {base: 1.0001s}\n", "not a whole number of milliseconds");
    assert_fault("http: {body_max: 1byte}\n", "is not a size such as");
    assert_fault("http: {body_max: 1}\n", "1 is out of range: 1kb to 1gb");
    assert_fault("routing: {link_rate: 5m}\n", "is not a rate");
    assert_fault("log: {level: loud}\n", "\"loud\" is not one of error|warn|info|debug");
    assert_fault("agent: {drain: maybe}\n", "\"maybe\" is not true or false");
    assert_fault("retry: {base: never}\n", "is not a duration");
    assert_fault("listen: [a]\n", "it wants one value (text), not a list");
    assert_fault("listen: {a: b}\n", "not a map");
    assert_fault("listen:\n", "it has no value");
    assert_fault("http: 5\n", "http: it wants a map, not a single value");
    assert_fault("pools: [a]\n", "pools: it wants a map of names, not a list");
    assert_fault("pools: {heavy: [a]}\n", "pools.heavy: it wants a map");
    assert_fault("models: {a: b}\n", "models: it wants a list, not a map");
    assert_fault("models: [a]\n", "models[1]: it wants a map");
    assert_fault("auth: {api_keys: {a: b}}\n", "it wants a list, not a map");
    assert_fault("auth: {api_keys: [[a]]}\n", "element 1 is a list");
    assert_fault("agent: {pool: \"a\\nb\"}\n", "control characters");
    assert_fault("agent: {region: \"a\\0b\"}\n", "NUL byte");
    assert_fault("models: [{name: a, bytes: 1, sha256: abc}]\n",
                 "has 3 characters, not 64 hex digits");
    assert_fault("[a]\n", "the file wants a map of keys, not a list");
    assert_fault("agent: {capabilities: {a: [[1]]}}\n", "a list holds single values");
}

static void what_contradicts_itself_is_refused(void **state)
{
    (void)state;
    assert_fault("listen: nowhere\n", "emp.yaml:1: listen: \"nowhere\" is not HOST:PORT");
    assert_fault("listen: a:70000\n", "is not HOST:PORT");
    assert_fault("a: &x {}\n", "unknown key");
    assert_fault("agent: {broker: \"http://x\"}\n", "agent.broker: \"http://x\" is not ws://");
    assert_fault("http: {batch_max: 1mb}\n", "http.body_max: it must not exceed http.batch_max");
    assert_fault("lease: {beat: 5s}\n", "lease.silent: it must be at least twice lease.beat");
    assert_fault("pools:\n  heavy:\n    run_max: 1m\n",
                 "emp.yaml:3: pools.heavy.run_min: it must be less than run_max");
    assert_fault("pools: {a: {disk_min: 2gb, disk_max: 1gb}}\n", "pools.a.disk_min");
    assert_fault("pools: {a: {parent: nope}}\n", "there is no pool \"nope\"");
    assert_fault("pools: {a: {parent: b}, b: {parent: a}}\n", "its own ancestor");
    assert_fault("models: [{bytes: 1}]\n", "emp.yaml:1: models[1]: \"name\" is missing");
    assert_fault("models: [{name: a}]\n", "\"bytes\" is missing");
    assert_fault("models: [{name: a, bytes: 1}, {name: a, bytes: 2, path: b}]\n",
                 "models[2].name: an earlier model has the same name");
    assert_fault("models: [{name: a, bytes: 1}, {name: b, bytes: 2, path: a}]\n",
                 "models[2].path: an earlier model has the same path");
    assert_fault("models: [{name: a, bytes: 1, path: ../x}]\n", "\"..\"");
    assert_fault("models: [{name: a, bytes: 1, path: /x}]\n", "it must be relative");
    assert_fault("models: [{name: a, bytes: 1, path: x//y}]\n", "empty parts");
    assert_fault("models: [{name: a, bytes: 1, urls: [ftp://x]}]\n", "is not http:// or https://");
    assert_fault("agent: {services: {a: {}}}\n", "agent.services.a: \"argv\" is missing");
    assert_fault("agent: {services: {a: {argv: []}}}\n", "must not be empty");
    assert_fault("agent: {services: {simulation: {argv: [a]}}}\n",
                 "belongs to the simulation connector");
    assert_fault("agent: {services: {a: {argv: [a], env: [x]}}}\n", "\"x\" is not NAME=value");
}

static void nothing_stands_twice(void **state)
{
    (void)state;
    assert_fault("data: a\nlisten: a:1\ndata: b\n",
                 "emp.yaml:3: data: it stands twice; first in line 1");
    assert_fault("http: {threads: 1}\nhttp.threads: 2\n",
                 "emp.yaml:2: http.threads: it stands twice");
    assert_fault("pools:\n  a: {}\n  a: {}\n", "pools.a: it stands twice");
    assert_fault("agent: {capabilities: {a: 1, a: 2}}\n", "a: it stands twice");
}

static void what_is_no_yaml_is_refused(void **state)
{
    (void)state;
    assert_fault("a: [\n", "emp.yaml:2: column");
    assert_fault("a: b: c\n", "emp.yaml:1: column");
    assert_fault("\xff\xfe\xfd", "emp.yaml:1");
    assert_fault("listen: \"\xc3\x28\"\n", "emp.yaml:1");
    assert_fault("data: a\n---\ndata: b\n", "more after the first document");
    assert_fault("? [a]\n: b\n", "a key must be a word");
}

static void every_fault_is_named(void **state)
{
    struct emp_config c;
    static const char text[] = "lisen: a\nhttp: {threads: x, nope: 1}\ndata: good\n";
    (void)state;
    emp_config_init(&c);
    assert_true(emp_config_read_text(&c, "f", text, sizeof text - 1, NULL) < 0);
    assert_int_equal(c.fault_count, 3);
    assert_non_null(strstr(c.faults[1].text, "f:2: http.threads"));
    assert_string_equal(c.faults[1].field, "http.threads");
    assert_str(c.broker.data, "good");
    emp_config_release(&c);
}

static void a_missing_file_is_an_error(void **state)
{
    struct emp_config c;
    struct emp_error err = {0};
    (void)state;
    emp_config_init(&c);
    assert_int_equal(emp_config_read_file(&c, "/nonexistent/emp.yaml", &err), EMP_E_IO);
    assert_non_null(strstr(err.text, "/nonexistent/emp.yaml: No such file"));
    emp_config_release(&c);
}

static char *fake_environment(const char *name)
{
    static char keys[] = "a, b,,c ", level[] = "warn", nothing[] = "";
    if (strcmp(name, "EMP_API_KEYS") == 0)
        return keys;
    return strcmp(name, "EMP_LOG_LEVEL") == 0     ? level
           : strcmp(name, "EMP_AGENT_TOKEN") == 0 ? nothing
                                                  : NULL;
}

static char *bad_environment(const char *name)
{
    static char level[] = "shout";
    return strcmp(name, "EMP_LOG_LEVEL") == 0 ? level : NULL;
}

static void later_sources_win(void **state)
{
    struct emp_config c;
    struct emp_error err = {0};
    (void)state;
    read_good(&c, "log: {level: debug}\nlisten: a:1\nauth: {api_keys: [x]}\n");
    assert_int_equal(emp_config_environment(&c, fake_environment, &err), 0);
    assert_int_equal(c.log_level, EMP_LOG_CHOICE_WARN);
    assert_int_equal(c.broker.api_key_count, 3);
    assert_str(c.broker.api_keys[2], "c");
    assert_int_equal(emp_config_set(&c, "listen", "b:2", &err), 0);
    assert_str(c.broker.listen, "b:2");
    assert_int_equal(emp_config_set(&c, "agent.slots", "5000", &err), EMP_E_INVALID);
    assert_string_equal(err.text, "5000 is out of range: 0 to 1024");
    assert_int_equal(emp_config_set(&c, "nope", "1", &err), EMP_E_NOT_FOUND);
    assert_int_equal(emp_config_environment(&c, bad_environment, &err), EMP_E_INVALID);
    assert_non_null(strstr(err.text, "environment EMP_LOG_LEVEL: \"shout\" is not one of"));
    emp_config_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_brains),
        cmocka_unit_test(an_empty_file_says_nothing),
        cmocka_unit_test(reads_every_type),
        cmocka_unit_test(json_is_yaml),
        cmocka_unit_test(pools_are_merged_by_name),
        cmocka_unit_test(default_pools_can_be_left_out),
        cmocka_unit_test(reads_the_catalogue),
        cmocka_unit_test(reads_services_and_capabilities),
        cmocka_unit_test(unknown_keys_name_the_nearest),
        cmocka_unit_test(wrong_values_say_what_is_allowed),
        cmocka_unit_test(what_contradicts_itself_is_refused),
        cmocka_unit_test(nothing_stands_twice),
        cmocka_unit_test(what_is_no_yaml_is_refused),
        cmocka_unit_test(every_fault_is_named),
        cmocka_unit_test(a_missing_file_is_an_error),
        cmocka_unit_test(later_sources_win),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
