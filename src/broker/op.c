#include "broker/op.h"

#include <stdio.h>
#include <stdlib.h>

enum { EMP_OP_BLOCK_BYTES = 4096 - 64 };

void *emp_op_new(size_t bytes, const struct emp_op_type *type, const struct emp_peer *peer)
{
    struct emp_op *op = calloc(1, bytes);
    if (!op) {
        fputs("emp: out of memory\n", stderr);
        abort();
    }
    op->type = type;
    op->peer = *peer;
    emp_arena_init(&op->arena, EMP_OP_BLOCK_BYTES);
    if (peer->origin && peer->origin[0] != '*')
        op->peer.origin = emp_str_copy(&op->arena, emp_str_z(peer->origin)).ptr;
    return op;
}

void emp_op_free(struct emp_op *op)
{
    if (op->type->release)
        op->type->release(op);
    emp_arena_release(&op->arena);
    free(op);
}

void emp_op_finish(struct emp_broker *b, struct emp_op *op, int code)
{
    if (op->finished)
        return;
    op->finished = true;
    op->type->finish(b, op, code);
}
