/* Doubly linked ring with a sentinel; the links are embedded in the element. Zeroed links belong to
 * no ring. */
#ifndef EMP_MACHINE_CHAIN_H
#define EMP_MACHINE_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

struct emp_chain {
    struct emp_chain *prev, *next;
};

static inline void emp_chain_init(struct emp_chain *head)
{
    head->prev = head->next = head;
}
static inline bool emp_chain_empty(const struct emp_chain *head)
{
    return head->next == head;
}
static inline void emp_chain_add(struct emp_chain *head, struct emp_chain *c) /* at the end */
{
    c->prev = head->prev;
    c->next = head;
    head->prev->next = c;
    head->prev = c;
}
static inline void emp_chain_del(struct emp_chain *c)
{
    if (!c->next)
        return;
    c->prev->next = c->next;
    c->next->prev = c->prev;
    c->prev = c->next = NULL;
}

#define emp_chain_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
