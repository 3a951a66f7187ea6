/* Broker–agent messages as JSON text and back: docs/protocol.md is the contract, proto/message.def
 * its table of fields, which the encoder, the decoder, the tests and that page share.
 *
 * A message is one object, {"type":WORD, …}. Decoding checks each field's presence, type and range;
 * unknown members are ignored, so that a newer peer may say more; an unknown type is
 * EMP_E_PROTOCOL. What stands at its default is left out when encoding. payload and result travel
 * as they are, byte for byte. Pure; any thread. */
#ifndef EMP_PROTO_MESSAGE_JSON_H
#define EMP_PROTO_MESSAGE_JSON_H

#include "base/arena.h"
#include "base/error.h"
#include "domain/message.h"

/* Appends to `out`; false when it overflowed (out->failed), or a struct holds what the limits
 * forbid: then what was appended is no message. */
bool emp_message_encode(const struct emp_message *m, struct emp_buf *out);

/* Decodes one text message. `from` is 'A' (the peer is an agent) or 'B': a message that is not the
 * peer's to send is refused. 0; EMP_E_PROTOCOL (no JSON, no type, an unknown type, not the peer's),
 * EMP_E_INVALID (a field; err->field names it), EMP_E_TOO_LARGE (over EMP_MESSAGE_BYTES_MAX).
 * Strings of *ret point into `text` or the arena: both must live as long as the message.
 *
 * HELLO of another protocol version decodes as far as that number: facts are filled only where
 * protocol is EMP_PROTOCOL_VERSION, so that it can be told what is wrong. */
int emp_message_decode(struct emp_arena *a, const char *text, size_t len, char from,
                       struct emp_message *ret, struct emp_error *err);

/* The outputs and result of a finished message as the store keeps them (emp_change_job.result's
 * bytes): {"result":…,"outputs":[…]}. */
void emp_result_blob_write(struct emp_buf *out, const struct emp_message_finished *f);

/* Back: *ret_result is the slice of the text, byte for byte (empty when there is none), outputs are
 * in the arena. 0 or EMP_E_MALFORMED. */
int emp_result_blob_parse(struct emp_arena *a, struct emp_str blob, struct emp_str *ret_result,
                          struct emp_output **ret_outputs, uint32_t *ret_output_count,
                          struct emp_error *err);

/* May this be a result: one JSON value, at most EMP_RESULT_BYTES_MAX, nested 63 deep at most? For
 * an agent, before it keeps what a connector said: a broker refuses a message with any other, again
 * and again. Empty is good. 0, EMP_E_MALFORMED, EMP_E_TOO_LARGE. */
int emp_result_check(struct emp_arena *scratch, struct emp_str result, struct emp_error *err);

/* Appends "a.b" = value pairs of everything that a machine can be asked for by `requirements` and
 * that is known from other facts: hardware.gpu_memory_gb (largest GPU), hardware.cpu_cores,
 * hardware.ram_gb, hardware.gpu_model, gpu_count. Called by an agent before HELLO; what caps names
 * already stays. The longer array is in the arena. */
void emp_machine_caps_fill(struct emp_arena *a, struct emp_machine_facts *facts);

#endif
