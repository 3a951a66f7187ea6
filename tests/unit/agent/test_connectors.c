/* Connectors by name. */
#include "agent/connectors/connectors.h"

#include "record.h"

static const char *make(struct place *p, const char *names, uint32_t services)
{
    static const struct emp_str argv[] = {{"true", 4}};
    static const struct emp_command_service service = {
        .name = {"s", 1}, .argv = argv, .argv_count = 1};
    struct emp_connector_host host = {.loop = &p->loop};
    struct emp_str list[8];
    struct emp_connector *made[EMP_CONNECTORS_MAX];
    struct emp_agent_options o = {
        .connectors = list, .services = &service, .service_count = services};
    struct emp_error err = {0};
    uint32_t count = 99;
    for (const char *s = names; *s; s += strspn(s, " ")) {
        size_t n = strcspn(s, " ");
        list[o.connector_count++] = (struct emp_str){s, (uint32_t)n};
        s += n;
    }
    int r = emp_connectors_make(&host, &o, made, &count, &err);
    const char *text = r < 0 ? emp_arena_printf(&p->arena, "%s:", emp_error_name(r)) : "";
    for (uint32_t i = 0; i < count; i++) {
        text = emp_arena_printf(&p->arena, "%s%s%s", text, *text ? " " : "", made[i]->name);
        connector_close(p, made[i]);
    }
    return r < 0 ? emp_arena_printf(&p->arena, "%s %s", text, err.text) : text;
}

static void by_default_what_is_configured(void **state)
{
    assert_string_equal(make(*state, "", 0), "simulation");
    assert_string_equal(make(*state, "", 1), "simulation command");
}

static void named_ones_alone(void **state)
{
    assert_string_equal(make(*state, "command", 1), "command");
    assert_string_equal(make(*state, "command simulation command", 1), "command simulation");
}

static void what_is_not_there_is_named(void **state)
{
    assert_string_equal(
        make(*state, "simulation comand", 0),
        "invalid: simulation there is no connector \"comand\"; there are: simulation, command");
    assert_string_equal(
        make(*state, "command", 0),
        "invalid: the command connector has no services: name some in agent.services");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(by_default_what_is_configured),
        PLACED(named_ones_alone),
        PLACED(what_is_not_there_is_named),
    };
    return cmocka_run_group_tests_name("agent/connectors", tests, NULL, NULL);
}
