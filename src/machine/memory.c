/* Copies in memory. What connectors keep loaded stands in GPU memory; it got there through RAM, and
 * when it has to leave GPU memory it may still be found in RAM. Both forget the least recently used
 * first, each within its own budget.
 *
 * RAM holds what was used last whether or not that is in GPU memory too, as a page cache does:
 * where RAM is the smaller of the two, what leaves GPU memory is on the disk alone. What runs is
 * never pushed out of GPU memory; a model larger than RAM passes through without staying. */
#include "machine/internal.h"

int64_t emp_memory_budget(const struct emp_machine *m, enum emp_memory where)
{
    return where == EMP_MEMORY_GPU ? m->s.facts->gpu_budget_bytes : m->s.facts->ram_budget_bytes;
}

void emp_memory_init(struct emp_machine *m)
{
    for (int i = 0; i < EMP_MEMORY_COUNT; i++)
        emp_chain_init(&m->memory[i].lru);
}

bool emp_memory_holds(const struct emp_machine_copy *c, enum emp_memory where)
{
    return c->memory[where].next != NULL;
}

static void drop(struct emp_machine *m, struct emp_machine_copy *c, enum emp_memory where)
{
    if (!emp_memory_holds(c, where))
        return;
    emp_chain_del(&c->memory[where]);
    m->memory[where].bytes -= c->model.bytes;
    emp_copy_mark(m, c);
}

void emp_memory_drop(struct emp_machine *m, struct emp_machine_copy *c)
{
    for (int i = 0; i < EMP_MEMORY_COUNT; i++)
        drop(m, c, i);
}

/* As the one used last. */
static void put(struct emp_machine *m, struct emp_machine_copy *c, enum emp_memory where)
{
    if (emp_memory_holds(c, where)) {
        emp_chain_del(&c->memory[where]);
    } else {
        m->memory[where].bytes += c->model.bytes;
        emp_copy_mark(m, c);
    }
    emp_chain_add(&m->memory[where].lru, &c->memory[where]);
}

/* What the plan wants in memory is the last to go. */
static void make_room(struct emp_machine *m, enum emp_memory where)
{
    struct emp_chain *head = &m->memory[where].lru;
    for (int spare_planned = 1; spare_planned >= 0; spare_planned--)
        for (struct emp_chain *i = head->next, *next;
             i != head && m->memory[where].bytes > emp_memory_budget(m, where); i = next) {
            next = i->next;
            struct emp_machine_copy *c = emp_chain_of(i, struct emp_machine_copy, memory[where]);
            if ((where == EMP_MEMORY_RAM || c->runs == 0) &&
                !(spare_planned && emp_plan_in_memory(m, c)))
                drop(m, c, where);
        }
}

void emp_memory_loaded(struct emp_machine *m, const uint32_t *copies, uint32_t count)
{
    if (emp_memory_budget(m, EMP_MEMORY_GPU) <= 0)
        return;
    for (uint32_t i = 0; i < count; i++) {
        struct emp_machine_copy *c = emp_copy_at(m, copies[i]);
        if (c->state != EMP_COPY_PRESENT)
            continue;
        put(m, c, EMP_MEMORY_GPU);
        if (c->model.bytes <= emp_memory_budget(m, EMP_MEMORY_RAM))
            put(m, c, EMP_MEMORY_RAM);
    }
    make_room(m, EMP_MEMORY_GPU);
    make_room(m, EMP_MEMORY_RAM);
}

void emp_memory_came(struct emp_machine *m, uint32_t copy, enum emp_residency to)
{
    struct emp_machine_copy *c = emp_copy_at(m, copy);
    if (c->state != EMP_COPY_PRESENT)
        return;
    if (to == EMP_RESIDENCY_GPU)
        emp_memory_loaded(m, &copy, 1);
    else if (c->model.bytes <= emp_memory_budget(m, EMP_MEMORY_RAM)) {
        put(m, c, EMP_MEMORY_RAM);
        make_room(m, EMP_MEMORY_RAM);
    }
}
