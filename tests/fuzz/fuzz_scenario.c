/* Scenarios: every fault has a text, and what is taken can be printed and drawn from. */
#include "fuzz.h"

#include "sim/measure/scenario.h"

const char *const fuzz_words[] = {
    "like: office\n",
    "fleet:\n  pools: []\n",
    "churn: {on: true}\n",
    "source: x",
    "at: [[0, 1], [1, 2]]",
    "[0, 1]",
    "generator: {start: 2025-03-03}\n",
    "trace: {speedup: 10}\n",
    "24gb",
    "jobs: [trace]",
    "1e999",
    "-1",
    "0",
    "true",
    "&a ",
    "*a",
    "? ",
    "- ",
    ": ",
    "!!str ",
    "\n",
    NULL,
};

static void use(const struct emp_scenario *sc)
{
    struct emp_buf out;
    struct emp_scenario_machine m;
    emp_buf_init(&out, 1 << 22);
    emp_scenario_print(sc, &out);
    FUZZ_CHECK(!out.failed);
    emp_buf_release(&out);
    FUZZ_CHECK(sc->machines > 0);
    for (uint32_t i = 0; i < sc->machines && i < 3; i++) {
        emp_scenario_machine(sc, 1, i, i, &m);
        FUZZ_CHECK(m.link_bytes_per_s > 0 && m.time > 0 && m.up_ms >= 0 && m.pool->machines > 0);
    }
    for (int k = 0; k < EMP_TRACE_MODEL_KIND_COUNT; k++) {
        struct emp_trace_model model = {.name = EMP_STR("m"), .kind = (enum emp_trace_model_kind)k};
        FUZZ_CHECK(emp_scenario_model_bytes(sc, &model) > 0);
        FUZZ_CHECK(emp_scenario_load_ms(sc, model.kind, 1000, false, 0.5) >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct emp_scenario sc;
    struct emp_error err = {0};
    int r = emp_scenario_parse(&sc, "input", (const char *)data, size, &err);
    FUZZ_CHECK(r == 0 || (r == err.code && err.text[0]));
    if (r == 0) {
        fuzz_taken++;
        use(&sc);
        emp_scenario_release(&sc);
    }
    return 0;
}
