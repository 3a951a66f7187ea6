#include "domain/copy.h"

struct emp_str *emp_strs_copy(struct emp_arena *a, const struct emp_str *s, uint32_t n)
{
    if (n == 0)
        return NULL;
    struct emp_str *to = emp_arena_array(a, struct emp_str, n);
    for (uint32_t i = 0; i < n; i++)
        to[i] = emp_str_copy(a, s[i]);
    return to;
}

void emp_model_copy(struct emp_arena *a, const struct emp_model *from, struct emp_model *to)
{
    *to = *from;
    to->name = emp_str_copy(a, from->name);
    to->kind = emp_str_copy(a, from->kind);
    to->category = emp_str_copy(a, from->category);
    to->path = emp_str_copy(a, from->path);
    to->owner = emp_str_copy(a, from->owner);
    to->urls = emp_strs_copy(a, from->urls, from->url_count);
}

static void facts_copy_lists(struct emp_arena *a, const struct emp_machine_facts *from,
                             struct emp_machine_facts *to)
{
    to->services = emp_strs_copy(a, from->services, from->service_count);
    to->specialties = emp_strs_copy(a, from->specialties, from->specialty_count);
    to->compliance = emp_strs_copy(a, from->compliance, from->compliance_count);
    to->custom_nodes = emp_strs_copy(a, from->custom_nodes, from->node_count);
    to->allowed_customers = emp_strs_copy(a, from->allowed_customers, from->allowed_count);
    to->denied_customers = emp_strs_copy(a, from->denied_customers, from->denied_count);
    to->caps = emp_arena_array(a, struct emp_capability, from->cap_count);
    for (uint32_t i = 0; i < from->cap_count; i++) {
        to->caps[i] = from->caps[i];
        to->caps[i].path = emp_str_copy(a, from->caps[i].path);
        to->caps[i].text = emp_str_copy(a, from->caps[i].text);
    }
    to->gpus = emp_arena_array(a, struct emp_gpu, from->gpu_count);
    for (uint32_t i = 0; i < from->gpu_count; i++) {
        to->gpus[i] = from->gpus[i];
        to->gpus[i].model = emp_str_copy(a, from->gpus[i].model);
    }
}

void emp_facts_copy(struct emp_arena *a, const struct emp_machine_facts *from,
                    struct emp_machine_facts *to)
{
    *to = *from;
    to->id = emp_str_copy(a, from->id);
    to->boot = emp_str_copy(a, from->boot);
    to->version = emp_str_copy(a, from->version);
    to->pool = emp_str_copy(a, from->pool);
    to->region = emp_str_copy(a, from->region);
    to->provider = emp_str_copy(a, from->provider);
    facts_copy_lists(a, from, to);
}
