/* Configuration files: every fault has a text, and what is taken is written in a form that is taken
 * again. */
#include "fuzz.h"

#include "config/config.h"

const char *const fuzz_words[] = {
    "pools:\n  a: {run_min: 1s}\n",
    "models:\n  - {name: m, bytes: 1gb}\n",
    "&a ",
    "*a",
    "<<: *a\n",
    "agent:\n  slots: 2\n",
    "10s",
    "5gb",
    "never",
    "'",
    "? ",
    "- ",
    ": ",
    "!!str ",
    "|\n  x\n",
    ">-\n",
    "# ",
    "%YAML 1.1\n---\n",
    "agent:\n  services:\n    s: {argv: [a, '{payload.x}']}\n",
    NULL,
};

static void read_again(const struct emp_config *c)
{
    struct emp_config again;
    struct emp_error err = {0};
    struct emp_buf out;
    emp_buf_init(&out, 1 << 24);
    emp_config_dump(c, &out);
    FUZZ_CHECK(!out.failed);
    emp_config_init(&again);
    if (emp_config_read_text(&again, "dump", out.data, out.len, &err) < 0) {
        fprintf(stderr, "%s\n%s\n", out.data, err.text);
        abort();
    }
    emp_config_release(&again);
    emp_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct emp_config c;
    struct emp_error err = {0};
    emp_config_init(&c);
    int r = emp_config_read_text(&c, "input", (const char *)data, size, &err);
    FUZZ_CHECK((r < 0) == (c.fault_count > 0));
    FUZZ_CHECK(c.fault_count <= EMP_CONFIG_FAULTS_MAX);
    for (uint32_t i = 0; i < c.fault_count; i++)
        FUZZ_CHECK(c.faults[i].code < 0 && c.faults[i].text[0]);
    if (r == 0) {
        fuzz_taken++;
        read_again(&c);
    }
    emp_config_release(&c);
    return 0;
}
