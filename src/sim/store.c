#include "sim/store.h"

#include "sim/copy.h"

void emp_sim_store_init(struct emp_sim_store *s)
{
    *s = (struct emp_sim_store){0};
    emp_arena_init(&s->arena, 1 << 18);
}

void emp_sim_store_release(struct emp_sim_store *s)
{
    emp_arena_release(&s->arena);
}

static struct emp_sim_stored_job *job_at(struct emp_sim_store *s, emp_job_num num)
{
    emp_arena_reach(&s->arena, s->jobs, num, s->job_cap, 256);
    return &s->jobs[num];
}

const struct emp_sim_stored_job *emp_sim_store_job(const struct emp_sim_store *s, emp_job_num num)
{
    return num < s->job_cap && s->jobs[num].known ? &s->jobs[num] : NULL;
}

static bool apply_job(struct emp_sim_store *s, const struct emp_change *change)
{
    struct emp_sim_stored_job *j = job_at(s, change->job.record.num);
    struct emp_change kept;
    if (!j->known && change->job.spec == NULL)
        return false;
    emp_sim_change_copy(&s->arena, change, &kept);
    j->record = kept.job.record;
    if (kept.job.spec) {
        j->spec = kept.job.spec;
        j->body = kept.job.body;
    }
    j->result = kept.job.result;
    j->known = true;
    if (j->record.num > s->last_num)
        s->last_num = j->record.num;
    return true;
}

/* Replaces the change of the same name, or appends. */
static void fold(struct emp_sim_store *s, struct emp_change **list, size_t *count, size_t *cap,
                 struct emp_str (*name)(const struct emp_change *), const struct emp_change *change)
{
    struct emp_change copy;
    emp_sim_change_copy(&s->arena, change, &copy);
    for (size_t i = 0; i < *count; i++) {
        if (emp_str_eq(name(&(*list)[i]), name(change))) {
            (*list)[i] = copy;
            return;
        }
    }
    emp_arena_reserve(&s->arena, *list, *count, *cap);
    (*list)[(*count)++] = copy;
}

static struct emp_str machine_name(const struct emp_change *c)
{
    return c->machine.facts.id;
}

static struct emp_str model_name(const struct emp_change *c)
{
    return c->model.name;
}

static struct emp_str learned_name(const struct emp_change *c)
{
    return c->learned.key;
}

static void machine_forget(struct emp_sim_store *s, struct emp_str id)
{
    size_t left = 0;
    for (size_t i = 0; i < s->machine_count; i++)
        if (!emp_str_eq(machine_name(&s->machines[i]), id))
            s->machines[left++] = s->machines[i];
    s->machine_count = left;
}

static void model_remove(struct emp_sim_store *s, struct emp_str name)
{
    size_t left = 0;
    for (size_t i = 0; i < s->model_count; i++)
        if (!emp_str_eq(model_name(&s->models[i]), name))
            s->models[left++] = s->models[i];
    s->model_count = left;
}

bool emp_sim_store_apply(struct emp_sim_store *s, const struct emp_change *change)
{
    s->changes++;
    switch (change->kind) {
    case EMP_CHANGE_JOB:
        return apply_job(s, change);
    case EMP_CHANGE_ATTEMPT:
        break; /* history: restoring needs none of it */
    case EMP_CHANGE_MACHINE:
        fold(s, &s->machines, &s->machine_count, &s->machine_cap, machine_name, change);
        break;
    case EMP_CHANGE_MACHINE_FORGOTTEN:
        machine_forget(s, change->machine_forgotten);
        break;
    case EMP_CHANGE_MODEL:
        fold(s, &s->models, &s->model_count, &s->model_cap, model_name, change);
        break;
    case EMP_CHANGE_MODEL_REMOVED:
        model_remove(s, change->model_removed);
        break;
    case EMP_CHANGE_LEARNED:
        fold(s, &s->learned, &s->learned_count, &s->learned_cap, learned_name, change);
        break;
    }
    return true;
}

void emp_sim_store_restore(const struct emp_sim_store *s,
                           void (*restored)(void *ctx, const struct emp_change *change), void *ctx)
{
    for (size_t i = 0; i < s->model_count; i++)
        restored(ctx, &s->models[i]);
    for (size_t i = 0; i < s->machine_count; i++)
        restored(ctx, &s->machines[i]);
    for (size_t i = 0; i < s->learned_count; i++)
        restored(ctx, &s->learned[i]);
    for (emp_job_num num = 1; num <= s->last_num; num++) {
        const struct emp_sim_stored_job *j = emp_sim_store_job(s, num);
        if (j == NULL || emp_job_state_terminal(j->record.state))
            continue;
        struct emp_change c = {.kind = EMP_CHANGE_JOB};
        c.job.record = j->record;
        c.job.spec = j->spec;
        restored(ctx, &c);
    }
}

emp_job_num emp_sim_store_key(const struct emp_sim_store *s, struct emp_str customer,
                              struct emp_str key)
{
    for (emp_job_num num = 1; key.len && num <= s->last_num; num++) {
        const struct emp_sim_stored_job *j = emp_sim_store_job(s, num);
        if (j && emp_str_eq(j->spec->idempotency_key, key) &&
            emp_str_eq(j->spec->customer, customer))
            return num;
    }
    return 0;
}
