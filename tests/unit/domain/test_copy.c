/* What was copied is whole after the original has been overwritten. */
#include "domain/copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Strings that are gone once `forget` has run, one after the other. */
static char memory[4096];
static size_t used;

static struct emp_str lent(const char *text)
{
    char *at = memory + used;
    used += strlen(text) + 1;
    assert_true(used <= sizeof memory);
    return emp_str_z(strcpy(at, text));
}

static void forget(void)
{
    memset(memory, '#', sizeof memory);
    used = 0;
}

static void is(struct emp_str s, const char *text)
{
    assert_int_equal(s.len, strlen(text));
    assert_string_equal(s.ptr, text); // a NUL stands behind it
}

static void lists(void **state)
{
    struct emp_arena a;
    struct emp_str list[] = {lent("one"), lent(""), lent("three")};
    (void)state;
    emp_arena_init(&a, 0);
    struct emp_str *copy = emp_strs_copy(&a, list, 3);
    forget();
    memset(list, 0, sizeof list);
    is(copy[0], "one");
    is(copy[1], "");
    is(copy[2], "three");
    assert_null(emp_strs_copy(&a, list, 0));
    emp_arena_release(&a);
}

static void a_model(void **state)
{
    struct emp_arena a;
    struct emp_str urls[] = {lent("http://a/m"), lent("http://b/m")};
    struct emp_model m = {.name = lent("m"),
                          .kind = lent("lora"),
                          .category = lent("art"),
                          .path = lent("loras/m"),
                          .owner = lent("acme"),
                          .sha256 = "abc",
                          .bytes = 5,
                          .urls = urls,
                          .url_count = 2,
                          .pinned = true};
    struct emp_model to;
    (void)state;
    emp_arena_init(&a, 0);
    emp_model_copy(&a, &m, &to);
    forget();
    memset(urls, 0, sizeof urls);
    is(to.name, "m");
    is(to.kind, "lora");
    is(to.category, "art");
    is(to.path, "loras/m");
    is(to.owner, "acme");
    is(to.urls[0], "http://a/m");
    is(to.urls[1], "http://b/m");
    assert_string_equal(to.sha256, "abc");
    assert_int_equal(to.bytes, 5);
    assert_int_equal(to.url_count, 2);
    assert_true(to.pinned);
    emp_arena_release(&a);
}

static void facts(void **state)
{
    struct emp_arena a;
    struct emp_str services[] = {lent("s1"), lent("s2")}, specialties[] = {lent("art")},
                   compliance[] = {lent("gdpr")}, nodes[] = {lent("n")}, allowed[] = {lent("c")},
                   denied[] = {lent("d")};
    struct emp_capability caps[] = {{.path = lent("asset_type"), .text = lent("image")}};
    struct emp_gpu gpus[] = {{.model = lent("RTX 4090"), .memory_bytes = 24}};
    struct emp_machine_facts f = {.id = lent("id"),
                                  .boot = lent("boot"),
                                  .version = lent("v"),
                                  .pool = lent("heavy"),
                                  .region = lent("eu"),
                                  .provider = lent("p"),
                                  .services = services,
                                  .service_count = 2,
                                  .specialties = specialties,
                                  .specialty_count = 1,
                                  .compliance = compliance,
                                  .compliance_count = 1,
                                  .custom_nodes = nodes,
                                  .node_count = 1,
                                  .allowed_customers = allowed,
                                  .allowed_count = 1,
                                  .denied_customers = denied,
                                  .denied_count = 1,
                                  .caps = caps,
                                  .cap_count = 1,
                                  .gpus = gpus,
                                  .gpu_count = 1,
                                  .slots = 3};
    struct emp_machine_facts to;
    (void)state;
    emp_arena_init(&a, 0);
    emp_facts_copy(&a, &f, &to);
    forget();
    memset(services, 0, sizeof services);
    memset(caps, 0, sizeof caps);
    memset(gpus, 0, sizeof gpus);
    is(to.id, "id");
    is(to.boot, "boot");
    is(to.version, "v");
    is(to.pool, "heavy");
    is(to.region, "eu");
    is(to.provider, "p");
    is(to.services[0], "s1");
    is(to.services[1], "s2");
    is(to.specialties[0], "art");
    is(to.compliance[0], "gdpr");
    is(to.custom_nodes[0], "n");
    is(to.allowed_customers[0], "c");
    is(to.denied_customers[0], "d");
    is(to.caps[0].path, "asset_type");
    is(to.caps[0].text, "image");
    is(to.gpus[0].model, "RTX 4090");
    assert_int_equal(to.gpus[0].memory_bytes, 24);
    assert_int_equal(to.slots, 3);
    emp_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(a_model),
        cmocka_unit_test(facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
